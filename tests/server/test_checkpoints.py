"""Checkpoints: heads of audit chains, signed, and never taken for a token."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jwt
import pytest

from agentsim.server import OAuthError, Refresh, SigningKey, Store
from agentsim.server.audit import Head
from agentsim.server.checkpoints import (
    MOST_ROWS,
    OTHERS_US,
    PERIOD_US,
    TYPE,
    Checkpoint,
    Notary,
    of_head,
    read,
    sign,
)
from agentsim.server.clock import SECOND
from agentsim.server.schema import AuditCheckpoint
from agentsim.server.statements import CHAINS

KEY = SigningKey.from_seed(b"checkpoints")
SIGNED = Checkpoint(
    issuer="https://auth.example", chain=3, log_id=1 << 62, row_hash=bytes(32), length=7, signed_at=5 * SECOND
)


def notary_of(world: Any) -> Notary:
    server = world.server
    return Notary(server.store, server.keyring, world.policy.issuer, world.clock, server.chain)


def step(world: Any, **how: Any) -> int:
    return notary_of(world).step(world.server.head(), **how)


def test_what_was_signed_is_read_back_with_the_key_that_signed_it() -> None:
    text = sign(SIGNED, KEY)
    found, key = read(text)
    assert found == SIGNED
    assert key.kid == KEY.kid
    assert text == sign(SIGNED, KEY)


def forged(text: str) -> dict[str, str]:
    header, payload, signature = text.split(".")
    other = sign(SIGNED, SigningKey.from_seed(b"other"))
    algorithm = jwt.PyJWS()
    plain = {"kid": KEY.kid, "jwk": KEY.public_jwk()}
    body = b'{"iss": "x"}'
    return {
        "another payload": f"{header}.{payload[:-4]}AAAA.{signature}",
        "another's signature": f"{header}.{payload}.{other.rpartition('.')[2]}",
        "no signature": f"{header}.{payload}.",
        "no type": algorithm.encode(body, KEY.private, "EdDSA", plain),
        "a token's type": algorithm.encode(body, KEY.private, "EdDSA", plain | {"typ": "at+jwt"}),
        "no key": algorithm.encode(body, KEY.private, "EdDSA", {"typ": TYPE, "kid": KEY.kid}),
        "another kid": algorithm.encode(body, KEY.private, "EdDSA", plain | {"typ": TYPE, "kid": "x"}),
        "members missing": algorithm.encode(body, KEY.private, "EdDSA", plain | {"typ": TYPE}),
        "no payload": algorithm.encode(b"[]", KEY.private, "EdDSA", plain | {"typ": TYPE}),
        "nothing": "",
        "long": text + "A" * 10_000,
    }


@pytest.mark.parametrize("how", forged(sign(SIGNED, KEY)))
def test_what_is_no_checkpoint_is_refused(how: str) -> None:
    with pytest.raises(ValueError, match="no checkpoint"):
        read(forged(sign(SIGNED, KEY))[how])


def test_a_checkpoint_is_no_token_and_a_token_no_checkpoint(world: Any) -> None:
    agent = world.agent()
    grant = world.root(agent)
    checkpoint = sign(SIGNED, world.keyring.keys.signing)
    assert world.why_not(checkpoint) == "token_malformed"
    assert isinstance(world.refusal(Refresh(by=agent, refresh_token=checkpoint)), OAuthError)
    with pytest.raises(ValueError, match="no checkpoint"):
        read(grant.access_token)


@pytest.mark.on_both
def test_a_head_is_signed_at_first_then_after_a_while_and_at_the_end(make_world: Any) -> None:
    world = make_world()
    assert step(world) == 0
    agent = world.agent()
    assert step(world) == 1
    assert step(world) == 0
    world.root(agent)
    assert step(world) == 0
    world.clock.advance(PERIOD_US)
    assert step(world) == 1
    world.clock.advance(PERIOD_US)
    assert step(world) == 0
    world.root(agent)
    assert step(world, closing=True) == 1
    rows = world.rows(AuditCheckpoint)
    audit = world.audit()
    assert [row["length"] for row in rows] == [2, 3, 4]
    for row in rows:
        found, key = read(row["jws"])
        newest = audit[found.length - 1]
        assert (found.log_id, found.row_hash) == (newest["log_id"], newest["row_hash"])
        assert {name: row[name] for name in ("chain", "length", "log_id", "row_hash", "signed_at")} == {
            name: getattr(found, name) for name in ("chain", "length", "log_id", "row_hash", "signed_at")
        }
        assert (row["kid"], found.issuer) == (key.kid, world.policy.issuer)
        assert key.kid == world.keyring.keys.signing.kid


def test_many_rows_are_signed_without_waiting(world: Any) -> None:
    world.agent()
    step(world)
    head = world.server.head()
    grown = Head(head.chain, head.log_id + 1, b"x" * 32, head.length + MOST_ROWS)
    assert notary_of(world).step(Head(head.chain, head.log_id + 1, b"x" * 32, grown.length - 1)) == 0
    assert notary_of(world).step(grown) == 1


@pytest.mark.on_both
def test_the_chain_of_a_writer_that_has_ended_is_signed_by_another(make_world: Any) -> None:
    world = make_world()
    world.agent()
    step(world)
    left = {"chain": 7, "log_id": 70, "row_hash": b"7" * 32, "length": 70}
    with world.server.store.transaction() as connection:
        connection.execute(CHAINS.insert(), left)
    # Never signed: at once.
    assert step(world) == 1
    with world.server.store.transaction() as connection:
        connection.execute(CHAINS.update().where(CHAINS.c.chain == 7).values(length=71, log_id=71))
    world.clock.advance(OTHERS_US - 1)
    assert step(world) == 0
    world.clock.advance(1)
    assert step(world) == 1
    assert [row["length"] for row in world.rows(AuditCheckpoint, chain=7)] == [70, 71]
    with world.server.store.transaction() as connection:
        connection.execute(CHAINS.delete().where(CHAINS.c.chain == 7))


@pytest.mark.on_both
def test_whoever_was_slower_with_the_chain_of_another_has_still_signed_its_own(
    make_world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world()
    agent = world.agent()
    step(world)
    left = {"chain": 7, "log_id": 70, "row_hash": b"7" * 32, "length": 70}
    store: Store = world.server.store
    with store.transaction() as connection:
        connection.execute(CHAINS.insert(), left)
    world.root(agent)
    other = Notary(store, world.server.keyring, world.policy.issuer, world.clock, chain=7)
    reading = store.reading

    @contextmanager
    def overtaken() -> Iterator[Any]:
        with reading() as connection:
            yield connection
        monkeypatch.undo()
        assert other.step(Head(**left)) == 1

    monkeypatch.setattr(store, "reading", overtaken)
    step(world, closing=True)
    signed = [(row["chain"], row["length"]) for row in world.rows(AuditCheckpoint)]
    assert sorted(signed) == sorted([(7, 70), (world.server.chain, 2), (world.server.chain, 3)])
    with store.transaction() as connection:
        connection.execute(CHAINS.delete().where(CHAINS.c.chain == 7))


@pytest.mark.on_both
def test_the_newest_heads_are_signed_anew_by_a_new_key_that_knows_the_old_one(make_world: Any) -> None:
    world = make_world()
    world.agent()
    step(world)
    (before,) = world.rows(AuditCheckpoint)
    world.server.rotate_key("EdDSA")
    assert step(world) == 1
    assert step(world) == 0
    (after,) = world.rows(AuditCheckpoint)
    old, old_key = read(before["jws"])
    new, new_key = read(after["jws"])
    assert (new.log_id, new.row_hash, new.length) == (old.log_id, old.row_hash, old.length)
    assert new_key.kid == after["kid"] == world.keyring.keys.signing.kid != old_key.kid


def test_nobodys_checkpoint_is_signed_anew(world: Any) -> None:
    world.agent()
    head = world.server.head()
    stranger = SigningKey.from_seed(b"stranger")
    foreign = of_head(head, world.policy.issuer, 0)
    store: Store = world.server.store
    Notary(store, type(world.keyring)(stranger), world.policy.issuer, world.clock, head.chain).step(head)
    assert foreign.length == head.length
    assert step(world) == 0
    assert [row["kid"] for row in world.rows(AuditCheckpoint)] == [stranger.kid]
