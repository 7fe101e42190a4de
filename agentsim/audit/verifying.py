"""Verification: whether every row of an audit trail is there as it was written, and which rows a signature proves."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import orjson
from tqdm.auto import tqdm

from agentsim.audit.checking import Believe, ChainCheck
from agentsim.audit.report import ChainReport, Report
from agentsim.audit.trails import CHAIN, Trail, is_number
from agentsim.errors import UserError
from agentsim.server.checkpoints import Checkpoint, read
from agentsim.server.keys import VerifyingKey

#: A file of keys is smaller, whatever the keys.
_LARGEST = 1 << 20
#: What is said of rows whose chain is no number.
_NOWHERE = -1


class KeysError(UserError):
    """A file of keys cannot be used; the message says why."""


def verify(
    trail: Trail, keys: Collection[str] | None = None, *, simulated: bool = False, progress: bool = False
) -> Report:
    """Check a trail, row by row, in memory that does not grow with it.

    Parameters
    ----------
    keys : thumbprints of the keys that are believed; None: every key that signed anything.
    simulated : whether those keys come from a seed.
    progress : show a bar on standard error.
    """
    believe = _believing(keys)
    checks = {
        chain: ChainCheck(chain, head, trail.base(chain), trail.checkpoints(chain), believe)
        for chain, head in trail.heads().items()
    }
    with tqdm(total=trail.total, unit="row", unit_scale=True, desc="verify", disable=not progress) as bar:
        for page in trail.rows():
            for row in page:
                chain = row[CHAIN]
                check = checks.get(chain)
                if check is None:
                    if not is_number(chain):
                        chain = _NOWHERE
                    check = checks.setdefault(chain, ChainCheck(chain, None, None, iter(()), believe))
                check.take(row)
            bar.update(len(page))
    chains: list[ChainReport] = [checks[chain].finish() for chain in sorted(checks)]
    return Report(chains, vouched=keys is not None, simulated=simulated)


def load_keys(path: Path) -> frozenset[str]:
    """The thumbprints of the keys of a file: a JWK set, as a server answers or keeps it, or a single JWK.

    Raises
    ------
    KeysError
        If it cannot be read, or holds no such keys.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST + 1)
    except OSError as exc:
        raise KeysError(f"{path}: {exc.strerror}") from None
    try:
        if len(text) > _LARGEST:
            raise ValueError("larger than any file of keys")
        read_json = orjson.loads(text)
        if not isinstance(read_json, dict):
            raise ValueError("a JSON object is wanted")
        jwks = read_json.get("keys", [read_json])
        if not isinstance(jwks, list) or not jwks or not all(isinstance(jwk, dict) for jwk in jwks):
            raise ValueError('"keys" is no list of keys')
        return frozenset(VerifyingKey.from_jwk(jwk).kid for jwk in jwks)
    except ValueError as fault:
        raise KeysError(f"{path}: not a JWK set: {fault}") from None


def _believing(keys: Collection[str] | None) -> Believe:
    def believe(jws: str) -> tuple[Checkpoint, str] | str:
        try:
            checkpoint, key = read(jws)
        except ValueError as fault:
            return str(fault)
        if keys is not None and key.kid not in keys:
            return f"it is signed by a key that is not among those given ({key.kid})"
        return checkpoint, key.kid

    return believe
