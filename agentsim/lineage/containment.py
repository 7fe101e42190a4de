"""What a scope contains, worked out a second time.

The token server has its own code for this. A checker that asked the server whether the server was right would
find nothing, so this module shares no line with it and follows another way: the server shortens texts, this
compares segments. Tests hold the two against each other.
"""

from functools import lru_cache

_DOTS = frozenset({"", ".", ".."})


def covers(held: str, asked: str) -> bool:
    """Whether one held member of a scope, tool or resource set contains an asked one.

    ``action:resource/path`` contains by whole path segments; a text without a colon is a tool, a resource or an
    atom, of which only a resource can have segments. A member with an empty or dotted segment is contained by
    nothing, itself included: no canonical text has one.
    """
    held_action, held_path = _split(held)
    action, path = _split(asked)
    if _DOTS & set(path):
        return False
    return held_action == action and path[: len(held_path)] == held_path


@lru_cache(65_536)
def surplus(held: str, asked: str) -> tuple[str, ...]:
    """Members of the asked set (space-separated text) that no member of the held set contains."""
    return tuple(one for one in asked.split() if not any(covers(other, one) for other in held.split()))


@lru_cache(65_536)
def surplus_of_registration(tools: str, resources: str, extra: str, asked: str) -> tuple[str, ...]:
    """Members of the asked scope that a registration does not allow.

    A registration allows each of its tools with each of its resources, and beside them the ``extra`` scopes.
    """
    return tuple(one for one in surplus(extra, asked) if not _in_product(tools, resources, one))


@lru_cache(65_536)
def share_given_up(held: str, asked: str) -> float:
    """How much narrower the asked set is: the share of held members that it does not contain whole, 0 to 1."""
    members = held.split()
    return len(surplus(asked, held)) / len(members) if members else 0.0


def _split(member: str) -> tuple[str, list[str]]:
    action, colon, resource = member.partition(":")
    # A resource alone has no action; the empty one keeps it apart from every scope.
    return (action, resource.split("/")) if colon else ("", member.split("/"))


def _in_product(tools: str, resources: str, scope: str) -> bool:
    action, colon, resource = scope.partition(":")
    return bool(colon) and action in tools.split() and not surplus(resources, resource)
