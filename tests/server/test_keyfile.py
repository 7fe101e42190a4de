"""The key file: nobody else reads it, no writer loses a key, and other workers notice."""

import multiprocessing
import os
import stat
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pytest

from agentsim.server import KeyFile, KeyFileError, ManualClock, SigningKey
from agentsim.server.claims import Claims
from agentsim.server.clock import SECOND
from agentsim.server.keyring import Keys
from agentsim.server.tokens import TokenCodec

NOW = 1_700_000_000 * SECOND


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def kids(path: Path) -> set[str]:
    return {key["kid"] for key in orjson.loads(path.read_bytes())["keys"]}


def test_the_first_start_makes_a_key_and_the_next_finds_it(path: Path, clock: ManualClock) -> None:
    first = KeyFile.ensure(path, clock, "ES256")
    assert (first.keys.signing.alg, first.keys.since) == ("ES256", NOW)
    clock.advance(SECOND)
    for again in (KeyFile.ensure(path, clock), KeyFile(path)):
        assert again.keys.as_json() == first.keys.as_json() == path.read_bytes()


def test_only_the_owner_can_read_it_whatever_the_umask(path: Path, clock: ManualClock) -> None:
    before = os.umask(0)
    try:
        KeyFile.ensure(path, clock).rotate("EdDSA", NOW, NOW + SECOND)
    finally:
        os.umask(before)
    assert mode(path) == mode(path.with_name("keys.json.lock")) == 0o600
    assert {entry.name for entry in path.parent.iterdir()} == {"keys.json", "keys.json.lock"}


def test_it_is_private_from_its_first_moment(
    path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    replace = os.replace

    def look_and_replace(source: Path, target: Path) -> None:
        seen.append(mode(source))
        replace(source, target)

    monkeypatch.setattr(os, "replace", look_and_replace)
    KeyFile.ensure(path, clock).rotate("EdDSA", NOW, NOW + SECOND)
    assert seen == [0o600, 0o600]


@pytest.mark.parametrize("permissions", [0o640, 0o604, 0o620, 0o666, 0o644])
def test_a_file_that_others_may_read_is_refused(path: Path, clock: ManualClock, permissions: int) -> None:
    held = KeyFile.ensure(path, clock)
    path.chmod(permissions)
    for attempt in (
        lambda: KeyFile(path),
        lambda: KeyFile.ensure(path, clock),
        lambda: held.rotate("EdDSA", NOW, NOW + SECOND),
    ):
        with pytest.raises(KeyFileError, match="chmod 600"):
            attempt()
    clock.advance(SECOND)
    assert held.reload() is False


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_another_users_file_is_refused(path: Path, clock: ManualClock) -> None:
    KeyFile.ensure(path, clock)
    os.chown(path, 12_345, -1)
    with pytest.raises(KeyFileError, match="another user"):
        KeyFile(path)


def test_a_simulated_key_is_neither_written_nor_read(path: Path, clock: ManualClock) -> None:
    KeyFile.ensure(path, clock)
    path.write_bytes(Keys(SigningKey.from_seed(b"seed")).as_json())
    with pytest.raises(KeyFileError, match="simulated"):
        KeyFile(path)
    with pytest.raises(KeyFileError, match="simulated"):
        KeyFile.ensure(path, clock)


def test_what_is_no_file_is_refused_in_words(path: Path, clock: ManualClock) -> None:
    with pytest.raises(KeyFileError, match="no such file"):
        KeyFile(path)
    with pytest.raises(KeyFileError, match="no such file or folder"):
        KeyFile.ensure(path / "below" / "keys.json", clock)
    path.mkdir()
    with pytest.raises(KeyFileError, match="directory"):
        KeyFile(path)
    pipe = path.with_name("pipe")
    os.mkfifo(pipe, 0o600)
    with pytest.raises(KeyFileError, match="not a file"):
        KeyFile(pipe)


@pytest.mark.parametrize("text", ["", "{", '{"keys": []}', "\x00" * 100])
def test_a_damaged_file_is_refused_and_never_overwritten(path: Path, clock: ManualClock, text: str) -> None:
    held = KeyFile.ensure(path, clock)
    path.write_text(text)
    for attempt in (
        lambda: KeyFile.ensure(path, clock),
        lambda: held.rotate("EdDSA", NOW, NOW + SECOND),
    ):
        with pytest.raises(KeyFileError, match=r"keys\.json: these are not the keys"):
            attempt()
    assert path.read_text() == text
    assert held.keys.signing


def test_a_write_that_fails_changes_nothing(
    path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = KeyFile.ensure(path, clock)
    before, keys = path.read_bytes(), held.keys

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(KeyFileError, match="No space left"):
            held.rotate("EdDSA", NOW, NOW + SECOND)
    assert (path.read_bytes(), held.keys) == (before, keys)
    assert not path.with_name("keys.json.new").exists()
    # What a crash leaves behind is in nobody's way either.
    path.with_name("keys.json.new").write_text("half of a")
    assert held.rotate("EdDSA", NOW, NOW + SECOND).kid in kids(path)


def test_what_fails_before_a_key_signs_changes_nothing(path: Path, clock: ManualClock) -> None:
    held = KeyFile.ensure(path, clock)
    before, keys = path.read_bytes(), held.keys
    prepared = []

    def fail(key: SigningKey) -> None:
        prepared.append(key.kid)
        # Whoever reads does not wait for whoever rotates.
        assert held.reload() is False
        raise RuntimeError("the database is away")

    with pytest.raises(RuntimeError, match="away"):
        held.rotate("EdDSA", NOW, NOW + SECOND, fail)
    assert (path.read_bytes(), held.keys) == (before, keys)
    assert not path.with_name("keys.json.new").exists()
    assert prepared
    assert prepared != [keys.signing.kid]


def test_a_link_stays_a_link(path: Path, clock: ManualClock, tmp_path: Path) -> None:
    KeyFile.ensure(path, clock)
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "keys.json"
    link.symlink_to(path)
    new = KeyFile(link).rotate("EdDSA", NOW, NOW + SECOND)
    assert link.is_symlink()
    assert new.kid in kids(path)


def test_another_worker_notices_a_rotation(path: Path, clock: ManualClock) -> None:
    ours, theirs = KeyFile.ensure(path, clock), KeyFile(path)
    assert theirs.reload() is False
    new = ours.rotate("ES256", NOW, NOW + 300 * SECOND)
    assert theirs.reload() is True
    assert theirs.reload() is ours.reload() is False
    assert theirs.keys.signing.kid == new.kid
    assert theirs.jwks(NOW) == ours.jwks(NOW)


def test_a_worker_rotates_what_another_has_rotated(path: Path, clock: ManualClock) -> None:
    ours, theirs = KeyFile.ensure(path, clock), KeyFile(path)
    first = ours.keys.signing.kid
    second = ours.rotate("EdDSA", NOW, NOW + SECOND).kid
    third = theirs.rotate("EdDSA", NOW, NOW + SECOND).kid
    assert kids(path) == {first, second, third}


def test_a_token_of_another_workers_new_key_is_believed_at_once(path: Path, clock: ManualClock) -> None:
    ours, theirs = KeyFile.ensure(path, clock), KeyFile(path)
    here, there = (TokenCodec("https://a.example", ("https://b.example",), ring) for ring in (ours, theirs))
    claims = Claims(
        token_id=1,
        client_id=2,
        grant_id=1,
        root_grant_id=1,
        parent_grant_id=None,
        depth=0,
        lineage=((1, 2, 3),),
        tasks=("t",),
        scope="s",
        tools="",
        resources="",
        level="minimal",
        principal="p",
        owner="o",
        issued_at=NOW,
        expires_at=NOW + 300 * SECOND,
        grant_expires_at=NOW + 300 * SECOND,
    )
    old = here.encode(claims)
    ours.rotate("EdDSA", NOW, NOW + 300 * SECOND)
    new = here.encode(claims)
    assert there.decode(new).token_id == there.decode(old).token_id == 1


def _rotate_often(path: Path, times: int) -> list[str]:
    ring = KeyFile.ensure(path, ManualClock(NOW))
    return [ring.rotate("EdDSA", NOW, NOW + SECOND).kid for _ in range(times)]


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_many_writers_lose_no_key(path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All at once, and the first of them makes the file."""
    # Worker processes find the function above where this one does.
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    spawn = multiprocessing.get_context("spawn")
    pool = ThreadPoolExecutor(4) if kind == "threads" else ProcessPoolExecutor(4, mp_context=spawn)
    with pool:
        made = [kid for kept in pool.map(_rotate_often, [path] * 4, [8] * 4) for kid in kept]
    assert len(set(made)) == 32
    assert set(made) < kids(path)
    assert len(kids(path)) == 33
