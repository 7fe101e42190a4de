"""Classes that a file of settings names: ``package.module:Class``, or the name of an installed entry point."""

from importlib import import_module
from importlib.metadata import entry_points
from typing import TypeVar

_Class = TypeVar("_Class")


def is_path(name: str) -> bool:
    """Whether a name says where its class is, instead of which one is meant."""
    return ":" in name


def installed(group: str) -> tuple[str, ...]:
    """Names of the entry points of a group, alphabetically."""
    return tuple(sorted(entry_points(group=group).names))


def load_class(name: str, group: str, base: type[_Class]) -> type[_Class]:
    """Import the class that a name stands for.

    Parameters
    ----------
    name : ``package.module:Class``, or the name of an entry point.
    group : the entry points' group, for example ``agentsim.attacks``.
    base : what it must be derived from.

    Raises
    ------
    ValueError
        If there is no such module, class or entry point, if importing it fails, or if it is something else.
    """
    try:
        found = _at(name) if is_path(name) else _installed(name, group)
    except ValueError:
        raise
    except Exception as error:
        # Somebody else's module may fail in any way while it is imported.
        raise ValueError(f"{name!r} cannot be imported: {error}") from error
    if not (isinstance(found, type) and issubclass(found, base)):
        raise ValueError(f"{name!r} is not derived from {base.__module__}:{base.__qualname__}")
    return found


def _at(path: str) -> object:
    module, _, name = path.partition(":")
    found: object = import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _installed(name: str, group: str) -> object:
    found = entry_points(group=group, name=name)
    if not found:
        raise ValueError(f"no entry point {name!r} in the group {group!r}")
    return next(iter(found)).load()
