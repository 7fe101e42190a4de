"""Attacks on whatever takes a JWT: nothing of this may pass, whichever kind of token it began as."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key

from agentsim.experiments.soak.hostile.forge import Forge, b64, foreign
from agentsim.server.assertions import LONGEST_ASSERTION
from agentsim.server.tokens import LONGEST_TOKEN

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def without_signature(forge: Forge) -> Iterator[str]:
    """Algorithms that sign nothing, and no signature at all."""
    for alg in ("none", "None", "NONE", "nOnE", "none ", "", None, 0, False, ["none"], {"alg": "none"}):
        header = forge.header | {"alg": alg}
        yield forge.sign(header, forge.payload, lambda _: b"")
        yield f"{b64(forge.text(header))}.{forge.body}.{forge.tail}"
    yield f"{b64(forge.text(forge.header))}.{forge.body}."
    yield f"{forge.head}.{forge.body}"


def public_key_as_secret(forge: Forge) -> Iterator[str]:
    """The public key taken for the secret of a MAC."""
    for secret in forge.public_texts.values():
        for alg, digest in (
            ("HS256", "sha256"),
            ("HS384", "sha384"),
            ("HS512", "sha512"),
            ("EdDSA", "sha512"),
        ):
            yield forge.sign(forge.header | {"alg": alg}, forge.payload, forge.mac(secret, digest))


def confused_algorithms(forge: Forge) -> Iterator[str]:
    """Algorithms and keys that do not belong together, and signatures of none."""
    for key in foreign().values():
        for alg in ("EdDSA", "Ed25519", "Ed448", "ES256", "ES256K", "ES384", "RS256", "PS256", "RS512"):
            yield forge.sign(forge.header | {"alg": alg}, forge.payload, key)
    curve = generate_private_key(SECP384R1())
    es384 = jwt.PyJWS(algorithms=["ES384"]).get_algorithm_by_name("ES384")
    for alg in ("ES384", "ES256", "EdDSA"):
        yield forge.sign(
            forge.header | {"alg": alg}, forge.payload, lambda text: bytes(es384.sign(text, curve))
        )
    # Signatures that are zero, or empty, or far too long, are those of no key.
    for signature in (bytes(64), b"\xff" * 64, bytes(1), bytes(4_000)):
        for alg in ("EdDSA", "ES256"):
            yield forge.sign(forge.header | {"alg": alg}, forge.payload, partial(_fixed, signature))


def _fixed(signature: bytes, _message: bytes) -> bytes:
    return signature


def hostile_kids(forge: Forge) -> Iterator[str]:
    """Names of keys that mean something else to files, databases and shells."""
    texts = [
        "",
        " ",
        "../../../../dev/null",
        "/dev/null",
        "file:///etc/passwd",
        "https://evil.example/keys.json",
        "' OR '1'='1",
        "x'; DROP TABLE agents; --",
        "$(id)|id`id`",
        "%00",
        "\x00",
        "\u202e\ufeff",
        forge.key.kid + "\x00",
        forge.key.kid.lower(),
        forge.key.kid[:-1],
        "k" * 5_000,
        5,
        True,
        None,
        [forge.key.kid],
        {"kid": forge.key.kid},
    ]
    for kid in texts:
        yield forge.headed(kid=kid)
        # A file or a row that does not exist was once an empty secret.
        yield forge.sign(forge.header | {"kid": kid, "alg": "HS256"}, forge.payload, forge.mac(b""))


def keys_of_their_own(forge: Forge) -> Iterator[str]:
    """A key, or where to fetch one, in the header."""
    jwk, url = foreign()["EdDSA"].public_jwk(), "https://evil.example/keys"
    for members in (
        {"jwk": jwk},
        {"jku": url},
        {"x5u": url},
        {"x5c": [b64(b"certificate")]},
        {"x5t": b64(b"print"), "x5t#S256": b64(b"print")},
        {"jwk": jwk, "jku": url, "crit": ["jwk", "jku"]},
    ):
        yield forge.headed(**members)
        yield forge.headed(**members, kid=foreign()["EdDSA"].kid)


def extensions(forge: Forge) -> Iterator[str]:
    """Signed with the true key: what is marked as critical and not understood must be refused."""
    marked: tuple[dict[str, Any], ...] = (
        {"crit": ["exp"]},
        {"crit": []},
        {"crit": "exp"},
        {"crit": None},
        {"crit": ["https://example.com/x"], "https://example.com/x": 1},
        {"b64": False, "crit": ["b64"]},
        {"b64": False},
    )
    for members in marked:
        yield forge.sign(forge.header | members, forge.payload)
    # Unencoded payload (RFC 7797): signed over the text itself.
    raw = f"{b64(forge.text(forge.header | {'b64': False, 'crit': ['b64']}))}.{json.dumps(forge.payload)}"
    yield f"{raw}.{b64(forge.bare(forge.key, raw.encode()))}"


def strangers(forge: Forge) -> Iterator[str]:
    """Signed with keys that the server does not have."""
    for key in foreign().values():
        for kid in (forge.key.kid, key.kid):
            for alg in {key.alg, forge.header["alg"]}:
                yield forge.sign(forge.header | {"kid": kid, "alg": alg}, forge.payload, key)


def bombs(forge: Forge) -> Iterator[str]:
    """Parts that are deep or long."""
    member = json.dumps(forge.header)[:-1].encode()
    for deep in (b"[" * 900 + b"]" * 900, b"[" * 3_000, b'{"a":' * 900 + b"1" + b"}" * 900, b"9" * 4_500):
        yield forge.sign(member + b',"x":' + deep + b"}", forge.payload, foreign()["EdDSA"])
        yield forge.sign(forge.header, deep)
        yield f"{b64(deep)}.{b64(deep)}.{b64(deep)}"
    yield forge.good + "A" * LONGEST_TOKEN
    yield "." * 1_000_000
    yield forge.claiming(note="x" * max(LONGEST_TOKEN, LONGEST_ASSERTION))


def cut_and_swapped(forge: Forge) -> Iterator[str]:
    """Parts left out, doubled, exchanged, and other forms of JOSE."""
    head, body, tail = forge.head, forge.body, forge.tail
    yield from ("", ".", "..", "...", "....", head, f"{head}.", f".{body}.{tail}", f"{head}..{tail}")
    yield from (f"{body}.{head}.{tail}", f"{head}.{tail}.{body}", f"{tail}.{body}.{head}")
    yield from (f"{forge.good}.{tail}", f".{forge.good}", f"{forge.good}.", f"{head}.{head}.{tail}")
    # JWE has five segments; JSON serialisation has none.
    yield f"{head}.{body}.{tail}.{body}.{tail}"
    yield json.dumps({"protected": head, "payload": body, "signature": tail})
    yield json.dumps({"payload": body, "signatures": [{"protected": head, "signature": tail}]})


def other_spellings(forge: Forge) -> Iterator[str]:
    """The same bytes, or nearly, in another text: no second name for one token."""
    head, body, tail = forge.head, forge.body, forge.tail
    for change in (
        "=",
        "==",
        "\n",
        "\r\n",
        " ",
        "\t",
        "\x00",
        "\u200b",
        "\ufeff",
        "%",
        "!",
        "\u00e9",
        "\ud800",
    ):
        yield from (forge.good + change, change + forge.good, f"{head}{change}.{body}.{tail}")
        yield from (f"{head}.{body}{change}.{tail}", f"{head}.{body[:9]}{change}{body[9:]}.{tail}")
    yield from (forge.good[:-1] + letter for letter in _ALPHABET if letter != forge.good[-1])
    yield f"{head}.{body}.{base64.b64encode(base64.urlsafe_b64decode(tail + '==')).decode()}"
    yield forge.good.translate({ord("A"): "\uff21", ord("e"): "\u0435"})
    yield from (forge.good.upper(), forge.good.swapcase(), f"Bearer {forge.good}", f'"{forge.good}"')


#: Nothing of this may pass any door, whichever kind of token it began as.
ATTACKS = (
    without_signature,
    public_key_as_secret,
    confused_algorithms,
    hostile_kids,
    keys_of_their_own,
    extensions,
    strangers,
    bombs,
    cut_and_swapped,
    other_spellings,
)
