"""Attacks on what takes an access token: nothing of this may pass as one, even with the signature of the true key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agentsim.experiments.soak.hostile.forge import Forge
from agentsim.experiments.soak.hostile.forgeries import ATTACKS


def wrong_types(forge: Forge) -> Iterator[str]:
    """Tokens of another kind."""
    kinds = "JWT jwt id_token+jwt refresh+jwt logout+jwt statuslist+jwt marks+jwt dpop+jwt JOSE at at+jwt+jwt".split()
    for kind in (*kinds, "token-introspection+jwt", "secevent+jwt", "", " at+jwt", None, 5, ["at+jwt"]):
        yield forge.sign(forge.header | {"typ": kind}, forge.payload)
    yield forge.sign({name: forge.header[name] for name in ("alg", "kid")}, forge.payload)


def wrong_parties(forge: Forge) -> Iterator[str]:
    """For somebody else, from somebody else, or nobody."""
    issuer, audience = forge.payload["iss"], forge.payload["aud"]
    for iss in (
        f"{issuer}/",
        issuer.upper(),
        f"{issuer}.evil.example",
        [issuer],
        {"iss": issuer},
        "",
        None,
        5,
    ):
        yield forge.claiming(iss=iss)
    for aud in (
        [audience],
        [audience, {}],
        [audience, None],
        [audience, audience],
        [],
        {audience: 1},
        "",
        None,
        5,
    ):
        yield forge.claiming(aud=aud)
    yield from (
        forge.claiming(aud=f"{audience}/"),
        forge.claiming(aud=issuer),
        forge.claiming(sub=None, act=None),
    )
    for name in ("iss", "aud", "sub", "exp", "iat", "jti", "client_id", "lineage", "act"):
        payload = {key: value for key, value in forge.payload.items() if key != name}
        yield forge.sign(forge.header, payload)


def absurd_times(forge: Forge) -> Iterator[str]:
    """Times that are none, or not of this world."""
    now = forge.payload["iat"]
    values: tuple[Any, ...] = (
        1 << 62,
        1 << 63,
        1 << 64,
        10**30,
        -1,
        -(1 << 63),
        now + 60.5,
        1e300,
        "",
        str(now + 60),
        None,
        True,
        [],
        {},
    )
    for name in ("exp", "iat", "grant_exp"):
        # Issued before 1970 is early, and no attack: clocks of simulations may begin there.
        wrong = (value for value in values if (name, value) != ("iat", -1))
        yield from (forge.claiming(**{name: value}) for value in wrong)
        for literal in (b"NaN", b"Infinity", b"-Infinity", b"1e999", b"0x7fffffff", b"01"):
            written = forge.text(forge.payload | {name: "HERE"}).replace(b'"HERE"', literal)
            yield forge.sign(forge.header, written)
    # This server's tokens begin when they are issued; one that says otherwise is none of them.
    yield from (forge.claiming(nbf=value) for value in (now + 3_600, 1 << 63, "soon", None))
    yield forge.claiming(exp=now - 1)


def hostile_members(forge: Forge) -> Iterator[str]:
    """Claims of a shape that no token of the server has."""
    hostile: tuple[dict[str, Any], ...] = (
        {"jti": "1" * 5_000},
        {"lineage": {"grants": ["1" * 5_000], "tasks": ["t"]}},
        {"lineage": {"grants": [[]], "tasks": [[]]}},
        {"act": {"sub": "agent_1", "act": {"sub": "agent_1"}}},
        {"act": [{"sub": "agent_1"}]},
        {"scope": ["file_read:github"]},
        {"budget": -1},
        {"budget": 1.5},
        {"status": {"status_list": {"idx": 1 << 70, "uri": "https://evil.example/statuslists/0"}}},
        {"may_act": {"sub": "agent_1", "extra": 1}},
    )
    for claims in hostile:
        yield forge.claiming(**claims)


#: What must not pass as an access token, even with the signature of the true key.
ACCESS_ATTACKS = (*ATTACKS, wrong_types, wrong_parties, absurd_times, hostile_members)
