"""Admission: what is not even of the form of its operation is refused before anything is decided.

Many callers' operations share a batch, so one that holds a number for a name, or a text that is no Unicode, must
be a refusal of its own and never an exception that costs the others their answers.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any, get_args

from agentsim.server.operations import Operation
from agentsim.server.operations.ends import Grounds
from agentsim.server.parties import Admin, Client, ClientAssertion, Credentials, Person, RegistrationAccess

#: Longest ``source_ip``, in characters.
LONGEST_ADDRESS = 64
_LARGEST = (1 << 63) - 1
# Named once: a union written in place is built anew at each call.
_LISTS = (list, tuple)


def find_fault(operation: Operation) -> str | None:
    """Say what is wrong with the form of an operation, or None where nothing is.

    Raises
    ------
    TypeError
        If it is no operation at all.
    """
    form = _FORMS.get(type(operation))
    if form is None:
        raise TypeError(f"not an operation: {type(operation).__name__}")
    values, checks = form
    for value, (name, is_good, wanted, free) in zip(values(operation), checks, strict=True):
        # Most fields are left as they are, and most of those are null or empty.
        if value is not free and not is_good(value):
            return f"{name} must be {wanted}"
    return None


def is_text(value: object) -> bool:
    """Whether this is a string that any database can keep: no lone surrogates, no NUL."""
    return isinstance(value, str) and "\0" not in value and (value.isascii() or _encodes(value))


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_optional_text(value: object) -> bool:
    return value is None or is_text(value)


def _is_names(value: object) -> bool:
    # Lists and tuples come first because asking an abstract class is slow. A string is a sequence of strings,
    # too, but never one that was meant.
    if not isinstance(value, _LISTS) and (isinstance(value, str) or not isinstance(value, Sequence)):
        return False
    return not value or all(map(is_text, value))


def _is_optional_names(value: object) -> bool:
    return value is None or _is_names(value)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_optional_count(value: object) -> bool:
    return value is None or (type(value) is int and 0 <= value <= _LARGEST)


def _is_admin(value: object) -> bool:
    return isinstance(value, Admin) and is_text(value.owner)


def _is_credentials(value: object) -> bool:
    if isinstance(value, Client):
        words: tuple[object, ...] = (value.client_id, value.client_secret)
    elif isinstance(value, ClientAssertion):
        words = (value.client_id, value.assertion)
    else:
        return False
    return all(map(is_text, words)) and _is_optional_text(value.owner)


def _is_asker(value: object) -> bool:
    return value is None or _is_admin(value) or _is_credentials(value)


def _is_caller(value: object) -> bool:
    return _is_admin(value) or _is_credentials(value)


def _is_manager(value: object) -> bool:
    return _is_admin(value) or (isinstance(value, RegistrationAccess) and is_text(value.token))


def _is_person(value: object) -> bool:
    return isinstance(value, Person) and is_text(value.account) and is_text(value.owner)


def _is_vouching(value: object) -> bool:
    return _is_admin(value) or _is_person(value)


def _is_id(value: object) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST


def _is_grounds(value: object) -> bool:
    if not isinstance(value, Grounds):
        return value is None
    return is_text(value.action) and _is_names(value.reasons) and isinstance(value.score, int | float)


def _is_address(value: object) -> bool:
    return value is None or (is_text(value) and len(str(value)) <= LONGEST_ADDRESS)


_Check = Callable[[object], bool]
#: By a field's declared type: its check, and how it is put into words.
_CHECKS: dict[Any, tuple[_Check, str]] = {
    str: (is_text, "a text"),
    str | None: (_is_optional_text, "a text or null"),
    Sequence[str]: (_is_names, "a sequence of texts"),
    Sequence[str] | None: (_is_optional_names, "a sequence of texts or null"),
    bool: (_is_flag, "true or false"),
    int | None: (_is_optional_count, "a count from 0 to 2**63 - 1, or null"),
    int: (_is_id, "an id from 0 to 2**63 - 1"),
    Grounds | None: (_is_grounds, "grounds or null"),
    Admin: (_is_admin, "an administrator"),
    Person: (_is_person, "a person"),
    Credentials: (_is_credentials, "a client"),
    Admin | Credentials: (_is_caller, "an administrator or a client"),
    Admin | Credentials | None: (_is_asker, "an administrator, a client or null"),
    Admin | Person: (_is_vouching, "an administrator or a person"),
    Admin | RegistrationAccess: (_is_manager, "an administrator or a registration access token"),
}


#: What takes the values of an operation's fields, and for each its name, check, wording and default.
_Form = tuple[Callable[[Operation], tuple[object, ...]], tuple[tuple[str, _Check, str, object], ...]]


def _form(operation: type) -> _Form:
    checks = {field.name: _CHECKS[field.type] for field in fields(operation)}
    checks["source_ip"] = (_is_address, f"at most {LONGEST_ADDRESS} characters or null")
    # What has no default has a mark for one, which no value is.
    defaults = {field.name: field.default for field in fields(operation)}
    return attrgetter(*checks), tuple((name, *check, defaults[name]) for name, check in checks.items())


_FORMS: dict[type, _Form] = {operation: _form(operation) for operation in get_args(Operation)}
