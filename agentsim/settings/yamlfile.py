"""Reading a YAML file safely, refusing what YAML would silently swallow: a key given twice. And writing one."""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from agentsim.inputs import MEGABYTE, read_bounded
from agentsim.settings.faults import Fault, SettingsError

LARGEST = 2 * MEGABYTE
#: Values in a file, each counted as often as it is named: a dozen aliases can stand for more than a memory holds.
MOST_VALUES = 500_000
DEEPEST = 100
#: No setting is a larger number, and numbers without end cannot even be told.
_LARGEST_NUMBER = 1 << 128


class _Loader(yaml.SafeLoader):
    """The safe loader, with every doubled key noted."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.doubles: list[Fault] = []
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        # The library's own end of depth comes late: each level costs as much as all above it.
        if self._depth > DEEPEST:
            raise RecursionError
        self._depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            if key.value in seen:
                line = key.start_mark.line + 1
                self.doubles.append(Fault(f"line {line}", f"the key {key.value!r} is given twice"))
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        number = super().construct_yaml_int(node)
        if abs(number) > _LARGEST_NUMBER:
            raise ValueError("a number beyond all bounds")
        return number

    def check_size(self, node: yaml.Node) -> None:
        """Refuse what becomes too large, or endless, once aliases are what they stand for."""
        if _count(node, {}) > MOST_VALUES:
            raise ValueError(f"more than {MOST_VALUES:,} values, with aliases written out")


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def read_yaml(path: Path) -> Any:
    """Return what a YAML file holds.

    Raises
    ------
    SettingsError
        If the file is missing, unreadable or too long, is not YAML, or gives a key twice.
    """
    try:
        text = read_bounded(path, LARGEST).decode("utf-8")
    except FileNotFoundError:
        raise SettingsError(path, [Fault("", "no such file")]) from None
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
        raise SettingsError(path, [Fault("", f"cannot be read: {reason}")]) from exc
    return parse_yaml(text, path)


def parse_yaml(text: str, source: Path | str) -> Any:
    """Return what a YAML text holds.

    Raises
    ------
    SettingsError
        If it is not YAML, or gives a key twice. ``source`` is what it calls the text.
    """
    try:
        loader = _Loader(text)
        try:
            data = _held(loader)
        finally:
            loader.dispose()
    except yaml.YAMLError as exc:
        raise SettingsError(source, [_syntax(exc)]) from exc
    except RecursionError:
        raise SettingsError(source, [Fault("", f"nested more than {DEEPEST} levels deep")]) from None
    except (ValueError, OverflowError) as exc:
        # A date such as 2026-13-45 looks like one to YAML until it is made.
        raise SettingsError(source, [Fault("", f"holds a value that cannot be read: {exc}")]) from exc
    except (AttributeError, IndexError, KeyError, TypeError):
        # A tag names a type that its value is not: "!!bool maybe". The library trusts it.
        raise SettingsError(source, [Fault("", "holds a value that is not of the type of its tag")]) from None
    if loader.doubles:
        raise SettingsError(source, loader.doubles)
    return data


def _held(loader: _Loader) -> Any:
    node = loader.get_single_node()
    if node is None:
        return None
    loader.check_size(node)
    return loader.construct_document(node)


def _count(node: yaml.Node, counted: dict[int, int]) -> int:
    """Values in a node, each as often as it is named. Raises ValueError where a node holds itself."""
    known = counted.get(id(node))
    if known == 0:
        raise ValueError("an alias stands for what it is a part of")
    if known is not None:
        return known
    counted[id(node)] = 0
    count = 1
    if isinstance(node, yaml.SequenceNode):
        count += sum(_count(each, counted) for each in node.value)
    elif isinstance(node, yaml.MappingNode):
        count += sum(_count(key, counted) + _count(value, counted) for key, value in node.value)
    counted[id(node)] = count
    return count


def _syntax(error: yaml.YAMLError) -> Fault:
    mark = getattr(error, "problem_mark", None)
    # What the reader says of a forbidden character goes over two lines.
    problem = " ".join((getattr(error, "problem", None) or str(error)).split())
    where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return Fault(where, f"not YAML: {problem}")


class _Dumper(yaml.SafeDumper):
    """The safe dumper, with lists set in below their key."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def format_yaml(data: Mapping[str, Any]) -> str:
    """Plain data as YAML for people: in the given order, and what holds only single values in one line."""
    return yaml.dump(
        dict(data), Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=108, allow_unicode=True
    )
