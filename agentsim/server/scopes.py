"""Scopes, tools and resources: their grammar, their canonical text, and what contains what.

A scope is ``action:resource`` or ``action:resource/path``; it contains another by whole path segments, so
``file_read:github`` covers ``file_read:github/specific`` but neither ``file_read:github-evil`` nor
``file_read:github/../x``, which is malformed. A scope without a colon (``email.read``) is an atom: it covers
itself alone. Characters are those of RFC 6749 section 3.3 without ``%`` and ``*``, which others might decode or
expand. The canonical text of a set is its members sorted and separated by single spaces; the same few texts
come again and again, so everything here is cached by text.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, wraps
from typing import TypeVar

from agentsim.server.errors import InvalidScope

_MEMBER = re.compile(r"[!#$&-)+-\[\]-~]+")
#: Segments that mean another place; some servers cut off what follows a semicolon, a question mark or a hash first.
_ELSEWHERE = re.compile(r"(\.{1,2}([;?#].*)?)?")
_CACHE = 16_384
#: The most members a set may have, and the most characters a member and a set may have.
MOST_MEMBERS = 1_000
LONGEST_MEMBER = 256
LONGEST_SET = 16_384
#: The most scopes that tools and resources may make together.
MOST_PRODUCTS = 10_000
#: Of long texts only a few are remembered, and of very long ones none: else whoever asks for ever other scopes would
#: fill the memory with them.
_SHORT, _LONG = 4_096, 65_536
_CACHE_OF_LONG = 256

_Made = TypeVar("_Made")


def _remembered(make: Callable[..., _Made]) -> Callable[..., _Made]:
    """What was made of texts before, as far as their length allows."""
    of_short, of_long = lru_cache(_CACHE)(make), lru_cache(_CACHE_OF_LONG)(make)

    @wraps(make)
    def made(*texts: str) -> _Made:
        size = sum(map(len, texts))
        return (of_short if size <= _SHORT else of_long if size <= _LONG else make)(*texts)

    return made


@lru_cache(_CACHE)
def canonical_scope(text: str) -> str:
    """Check a space-delimited scope string and return its canonical text.

    Raises
    ------
    InvalidScope
        With reason ``malformed_scope``, naming the first bad member.
    """
    return _canonical(text.split(" ") if text else [], _check_scope)


def canonical_tools(names: Iterable[str]) -> str:
    """Check tool names (no colon, no slash) and return their canonical text.

    Raises
    ------
    InvalidScope
        With reason ``malformed_scope``.
    """
    return _canonical_tools(tuple(names))


def canonical_resources(names: Iterable[str]) -> str:
    """Check resource names (segments separated by slashes) and return their canonical text.

    Raises
    ------
    InvalidScope
        With reason ``malformed_scope``.
    """
    return _canonical_resources(tuple(names))


@_remembered
def members(text: str) -> tuple[str, ...]:
    """The members of a canonical text."""
    return tuple(text.split(" ")) if text else ()


def product(tools: str, resources: str) -> str:
    """Each tool with each resource, as the canonical text of a scope.

    Raises
    ------
    InvalidScope
        With reason ``malformed_scope``, where they are too many.
    """
    many, others = len(members(tools)), len(members(resources))
    if many * others > MOST_PRODUCTS:
        raise InvalidScope(
            "malformed_scope",
            "too many tools with too many resources",
            asked=many * others,
            allowed=MOST_PRODUCTS,
        )
    # A few short names make a text that is many times as long as they are.
    size = len(tools) * others + len(resources) * many
    make = _short_product if size <= _SHORT else _long_product if size <= _LONG else _product
    return make(tools, resources)


def _product(tools: str, resources: str) -> str:
    return " ".join(
        sorted(f"{tool}:{resource}" for tool in members(tools) for resource in members(resources))
    )


_short_product, _long_product = lru_cache(_CACHE)(_product), lru_cache(_CACHE_OF_LONG)(_product)


@_remembered
def union(first: str, second: str) -> str:
    """The canonical text of both sets together."""
    return " ".join(sorted({*members(first), *members(second)}))


@_remembered
def excess(asked: str, allowed: str) -> tuple[str, ...]:
    """Members of ``asked`` that no member of ``allowed`` contains, by whole path segments.

    Works on scopes, tools and resources alike: a tool or an atom has no path, so it is contained by itself alone.
    """
    granted = _set(allowed)
    return tuple(member for member in members(asked) if not _contained(member, granted))


@_remembered
def overlap(first: str, second: str) -> str:
    """What is in both sets: each member of one that the other contains, as canonical text."""
    left = [member for member in members(first) if _contained(member, _set(second))]
    right = [member for member in members(second) if _contained(member, _set(first))]
    return " ".join(sorted({*left, *right}))


@_remembered
def actions(scope: str) -> str:
    """The actions that a scope names, as the canonical text of tools."""
    return " ".join(sorted({action for action, colon, _ in _parts(scope) if colon and "/" not in action}))


@_remembered
def resources_of(scope: str) -> str:
    """The resources that a scope names, as canonical text."""
    return " ".join(sorted({resource for _, colon, resource in _parts(scope) if colon}))


def _parts(scope: str) -> list[tuple[str, str, str]]:
    return [member.partition(":") for member in members(scope)]


@_remembered
def _set(text: str) -> frozenset[str]:
    return frozenset(members(text))


def _contained(member: str, granted: frozenset[str]) -> bool:
    while member not in granted:
        shorter, slash, _ = member.rpartition("/")
        if not slash:
            return False
        member = shorter
    return True


@lru_cache(_CACHE)
def _canonical_tools(names: tuple[str, ...]) -> str:
    return _canonical(names, _check_tool)


@lru_cache(_CACHE)
def _canonical_resources(names: tuple[str, ...]) -> str:
    return _canonical(names, _check_resource)


def _canonical(names: Sequence[str], check: Callable[[str], str | None]) -> str:
    if len(names) > MOST_MEMBERS:
        raise InvalidScope("malformed_scope", f"{len(names)} members; the most is {MOST_MEMBERS}")
    if sum(map(len, names)) > LONGEST_SET:
        raise InvalidScope("malformed_scope", f"more than {LONGEST_SET} characters")
    for name in names:
        fault = "too long" if len(name) > LONGEST_MEMBER else check(name)
        if fault:
            raise InvalidScope("malformed_scope", f"{name[:80]!r}: {fault}", asked=name[:80])
    return " ".join(sorted(set(names)))


def _check_scope(name: str) -> str | None:
    action, colon, resource = name.partition(":")
    if not colon:
        return None if _MEMBER.fullmatch(name) and "/" not in name else "not a scope"
    return _check_tool(action) or _check_resource(resource)


def _check_tool(name: str) -> str | None:
    good = _MEMBER.fullmatch(name) and not {":", "/"} & set(name)
    return None if good else "not a tool's name"


def _check_resource(name: str) -> str | None:
    good = _MEMBER.fullmatch(name) and not any(map(_ELSEWHERE.fullmatch, name.split("/")))
    return None if good else "not a resource's name"
