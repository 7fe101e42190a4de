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
from typing import Any, TypeVar

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
#: Bytes, roughly, that all caches may hold together: a few short names make five megabytes of scopes, and whoever asks for
#: ever others would fill the memory with them.
_MOST_HELD = 128 * 1024 * 1024
#: Bytes of a member that is held by itself.
_WEIGHT = 80

_Made = TypeVar("_Made", str, tuple[str, ...], frozenset[str])


class _Remembered:
    """All caches of this module, forgotten together once they hold too much. Only what is new is weighed."""

    def __init__(self) -> None:
        self._caches: list[Any] = []
        self._held = 0

    def __call__(self, make: Callable[..., _Made]) -> Callable[..., _Made]:
        @lru_cache(_CACHE)
        @wraps(make)
        def made(*texts: Any) -> _Made:
            result = make(*texts)
            self._weigh(texts)
            self._weigh((result,))
            return result

        self._caches.append(made)
        return made

    def _weigh(self, texts: Iterable[Any]) -> None:
        self._held += sum(len(text) if isinstance(text, str) else _WEIGHT * len(text) for text in texts)
        if self._held > _MOST_HELD:
            self._held = 0
            for cache in self._caches:
                cache.cache_clear()


_remembered = _Remembered()


@_remembered
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


@_remembered
def product(tools: str, resources: str) -> str:
    """Each tool with each resource, as the canonical text of a scope.

    Raises
    ------
    InvalidScope
        With reason ``malformed_scope``, where they are too many.
    """
    count = len(members(tools)) * len(members(resources))
    if count > MOST_PRODUCTS:
        raise InvalidScope(
            "malformed_scope", "too many tools with too many resources", asked=count, allowed=MOST_PRODUCTS
        )
    return " ".join(
        sorted(f"{tool}:{resource}" for tool in members(tools) for resource in members(resources))
    )


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


@_remembered
def _canonical_tools(names: tuple[str, ...]) -> str:
    return _canonical(names, _check_tool)


@_remembered
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
