"""Reading a YAML file safely, refusing what YAML would silently swallow: a key given twice. And writing one."""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from agentsim.settings.faults import Fault, SettingsError


class _Loader(yaml.SafeLoader):
    """The safe loader, with every doubled key noted."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.doubles: list[Fault] = []

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


def read_yaml(path: Path) -> Any:
    """Return what a YAML file holds.

    Raises
    ------
    SettingsError
        If the file is missing or unreadable, is not YAML, or gives a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SettingsError(path, [Fault("", "no such file")]) from None
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
        raise SettingsError(path, [Fault("", f"cannot be read: {reason}")]) from exc
    try:
        loader = _Loader(text)
        try:
            data = loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.YAMLError as exc:
        raise SettingsError(path, [_syntax(exc)]) from exc
    except RecursionError as exc:
        raise SettingsError(path, [Fault("", "nested too deeply")]) from exc
    except ValueError as exc:
        # A date such as 2026-13-45 looks like one to YAML until it is made.
        raise SettingsError(path, [Fault("", f"holds a value that cannot be read: {exc}")]) from exc
    if loader.doubles:
        raise SettingsError(path, loader.doubles)
    return data


def _syntax(error: yaml.YAMLError) -> Fault:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
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
