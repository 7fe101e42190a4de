"""Accounts of people: passwords that nobody can read, sessions that end."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agentsim.server import ManualClock, Person, Store
from agentsim.server import accounts as module
from agentsim.server.accounts import SESSION_US, AccountError, Accounts, hash_password, is_password
from agentsim.server.schema import Account, SessionRow
from agentsim.server.statements import table

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with less work: what is tested here is not how long it takes."""
    monkeypatch.setattr(module, "_N", 2**8)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_000_000_000)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "people.sqlite")
    yield made
    made.close()


@pytest.fixture
def accounts(store: Store, clock: ManualClock) -> Accounts:
    made = Accounts(store, clock)
    made.add("ana", PASSWORD, "acme")
    return made


def test_who_knows_the_password_is_signed_in(accounts: Accounts) -> None:
    assert accounts.sign_in("ana", PASSWORD) == Person("ana", "acme")
    assert accounts.sign_in("ana", PASSWORD + " ") is None
    assert accounts.sign_in("eve", PASSWORD) is None


def test_a_name_that_no_database_holds_is_nobody_s(new_schema: Callable[[], str], clock: ManualClock) -> None:
    """PostgreSQL takes no NUL: whoever sends one is not told that the database is away."""
    store = Store(new_schema())
    assert Accounts(store, clock).sign_in("ana\0", PASSWORD) is None
    store.close()


def test_passwords_are_kept_by_scrypt_with_salts_of_their_own() -> None:
    one, other = hash_password(PASSWORD), hash_password(PASSWORD)
    assert one != other
    assert one.startswith(f"scrypt${2**8}$8$1$")
    assert is_password(PASSWORD, one)
    assert not is_password("another password", one)


def test_what_is_kept_says_neither_password_nor_cookie(
    accounts: Accounts, store: Store, tmp_path: Path
) -> None:
    cookie = accounts.begin_session(Person("ana", "acme"))
    store.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"scrypt$" in kept
    assert PASSWORD.encode() not in kept
    assert cookie.encode() not in kept


@pytest.mark.parametrize("name", ["", "Ana", "-ana", "a" * 65, "ana@example", "äna"])
def test_names_are_plain(accounts: Accounts, name: str) -> None:
    with pytest.raises(AccountError, match="a name has"):
        accounts.add(name, PASSWORD, "acme")


@pytest.mark.parametrize("password", ["short", "x" * 2000, "aaaaaaaaaaaaaaaaa", "I am bob and strong"])
def test_weak_passwords_are_refused(accounts: Accounts, password: str) -> None:
    with pytest.raises(AccountError):
        accounts.add("bob", password, "acme")
    assert [row["name"] for row in accounts.all()] == ["ana"]


def test_a_name_is_taken_once(accounts: Accounts) -> None:
    with pytest.raises(AccountError, match="there is such an account"):
        accounts.add("ana", PASSWORD, "globex")
    with pytest.raises(AccountError, match="no such account"):
        accounts.disable("eve")


def test_a_session_ends_by_itself_and_by_signing_out(accounts: Accounts, clock: ManualClock) -> None:
    cookie = accounts.begin_session(Person("ana", "acme"))
    assert accounts.person_of(cookie) == Person("ana", "acme")
    assert accounts.person_of("guessed") is None
    accounts.end_session(cookie)
    assert accounts.person_of(cookie) is None
    cookie = accounts.begin_session(Person("ana", "acme"))
    clock.advance(SESSION_US)
    assert accounts.person_of(cookie) is None


@pytest.mark.parametrize("change", [("disable",), ("set_password", "another fine password")])
def test_sessions_end_with_the_password_or_the_account(accounts: Accounts, change: Any) -> None:
    cookie = accounts.begin_session(Person("ana", "acme"))
    name, *more = change
    getattr(accounts, name)("ana", *more)
    assert accounts.person_of(cookie) is None
    assert accounts.sign_in("ana", PASSWORD) is None
    if name == "disable":
        accounts.enable("ana")
        assert accounts.sign_in("ana", PASSWORD) is not None


def test_sessions_that_are_over_do_not_pile_up(accounts: Accounts, store: Store, clock: ManualClock) -> None:
    for _ in range(3):
        accounts.begin_session(Person("ana", "acme"))
        clock.advance(SESSION_US)
    accounts.begin_session(Person("ana", "acme"))
    with store.reading() as connection:
        assert len(list(connection.execute(table(SessionRow).select()))) == 1
        assert len(list(connection.execute(table(Account).select()))) == 1
