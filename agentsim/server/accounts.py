"""Accounts of people, and who of them is signed in.

People sign in here so that what they consent to can be measured; nothing else of an identity provider is offered.
Passwords are kept by scrypt (RFC 7914); the cookie of a session is 256 random bits, so its SHA-256 is enough.
"""

import base64
import hashlib
import hmac
import os
import re

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from agentsim.server.batch import Row
from agentsim.server.clock import SECOND, Clock
from agentsim.server.credentials import SystemSecrets, digest
from agentsim.server.parties import Person
from agentsim.server.schema import Account, AuthorizationCode, SessionRow
from agentsim.server.statements import table
from agentsim.server.store import Store, rows_of

#: How long a person stays signed in, whatever they do.
SESSION_US = 8 * 3600 * SECOND
SHORTEST_PASSWORD = 12
#: Longer ones are refused rather than hashed: that would be work for anybody to order.
LONGEST_PASSWORD = 1_024
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
#: scrypt's cost: 128 MiB and a few tenths of a second each.
_N, _R, _P = 2**17, 8, 1

_ACCOUNTS, _SESSIONS, _CODES = table(Account), table(SessionRow), table(AuthorizationCode)


class AccountError(ValueError):
    """An account that cannot be made or changed; ``str()`` says why."""


def hash_password(password: str) -> str:
    """A password as it is kept: scrypt with its parameters and a salt of its own, about half a second's work."""
    salt = os.urandom(16)
    return f"scrypt${_N}${_R}${_P}${_text(salt)}${_text(_scrypt(password, salt, _N, _R, _P))}"


def is_password(password: str, kept: str) -> bool:
    """Whether this is the password that was kept."""
    _, n, r, p, salt, expected = kept.split("$")
    made = _scrypt(password, base64.b64decode(salt), int(n), int(r), int(p))
    return hmac.compare_digest(made, base64.b64decode(expected))


class Accounts:
    """Reads and changes accounts and sessions.

    Parameters
    ----------
    store : the database.
    clock : tells what has expired.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def add(self, name: str, password: str, owner: str) -> None:
        """Make an account.

        Raises
        ------
        AccountError
            If the name is taken or none, or the password is too weak.
        """
        if not _NAME.fullmatch(name):
            raise AccountError(f"{name}: a name has up to 64 of a-z, 0-9, dot, dash and underscore")
        row = {
            "name": name,
            "owner": owner,
            "password_hash": hash_password(_checked(name, password)),
            "created_at": self._clock.now(),
            "disabled_at": None,
        }
        try:
            with self._store.transaction() as connection:
                connection.execute(_ACCOUNTS.insert(), row)
        except IntegrityError:
            raise AccountError(f"{name}: there is such an account") from None

    def set_password(self, name: str, password: str) -> None:
        """Change a password; whoever is signed in to the account is not any more.

        Raises
        ------
        AccountError
            If there is no such account, or the password is too weak.
        """
        self._change(name, {"password_hash": hash_password(_checked(name, password))})

    def disable(self, name: str) -> None:
        """Let nobody sign in to an account; sessions and unused codes end. Raises AccountError where there is none."""
        self._change(name, {"disabled_at": self._clock.now()})

    def enable(self, name: str) -> None:
        """Let a person sign in again. Raises AccountError where there is no such account."""
        self._change(name, {"disabled_at": None})

    def all(self) -> list[Row]:
        """All accounts by name, without their passwords."""
        columns = [column for column in _ACCOUNTS.columns if column.name != "password_hash"]
        with self._store.reading() as connection:
            return rows_of(connection, select(*columns).order_by(_ACCOUNTS.c.name))

    def sign_in(self, name: str, password: str) -> Person | None:
        """The person whose name and password these are; None for whoever else, after as long a time."""
        # What is no name is nobody's, and PostgreSQL would not even look.
        wanted = name if _NAME.fullmatch(name) else ""
        with self._store.reading() as connection:
            found = rows_of(connection, select(_ACCOUNTS).where(_ACCOUNTS.c.name == wanted))
        given = password[:LONGEST_PASSWORD]
        if not found:
            # The same work as for a known account: the time tells nobody which there are.
            hash_password(given)
            return None
        if not is_password(given, found[0]["password_hash"]) or found[0]["disabled_at"] is not None:
            return None
        return Person(found[0]["name"], found[0]["owner"])

    def begin_session(self, person: Person) -> str:
        """The value of the cookie by which a person is known from now on."""
        value, now = SystemSecrets().new(), self._clock.now()
        row = {
            "session_hash": digest(value),
            "account": person.account,
            "created_at": now,
            "expires_at": now + SESSION_US,
        }
        with self._store.transaction() as connection:
            # Those of the same account that are over are of no use to anybody.
            connection.execute(
                delete(_SESSIONS).where(_SESSIONS.c.account == person.account, _SESSIONS.c.expires_at <= now)
            )
            connection.execute(_SESSIONS.insert(), row)
        return value

    def person_of(self, value: str) -> Person | None:
        """Who is signed in by a cookie; None where nobody is, or not any more."""
        query = (
            select(_ACCOUNTS.c.name, _ACCOUNTS.c.owner)
            .join(_SESSIONS, _SESSIONS.c.account == _ACCOUNTS.c.name)
            .where(_SESSIONS.c.session_hash == digest(value), _SESSIONS.c.expires_at > self._clock.now())
            .where(_ACCOUNTS.c.disabled_at.is_(None))
        )
        with self._store.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else Person(row.name, row.owner)

    def end_session(self, value: str) -> None:
        """Sign out."""
        with self._store.transaction() as connection:
            connection.execute(delete(_SESSIONS).where(_SESSIONS.c.session_hash == digest(value)))

    def _change(self, name: str, values: Row) -> None:
        with self._store.transaction() as connection:
            changed = connection.execute(update(_ACCOUNTS).where(_ACCOUNTS.c.name == name).values(values))
            if not changed.rowcount:
                raise AccountError(f"{name}: there is no such account")
            connection.execute(delete(_SESSIONS).where(_SESSIONS.c.account == name))
            connection.execute(delete(_CODES).where(_CODES.c.account == name, _CODES.c.consumed_at.is_(None)))


def _checked(name: str, password: str) -> str:
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise AccountError(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
    if name in password.lower() or len(set(password)) < 5:
        raise AccountError("the password is too easy to guess: leave the name out, and use more characters")
    return password


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=256 * n * r, dklen=32)


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
