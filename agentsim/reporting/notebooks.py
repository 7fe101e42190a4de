"""The notebooks that reports are made from: where they are, and which parameters they take.

papermill only warns of a parameter that a notebook does not have, and takes a value of any type; so both
are checked here, before anything runs.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import papermill
from pydantic import ConfigDict, FiniteFloat, ValidationError, create_model

import agentsim
from agentsim.reporting.errors import ReportError

#: What a ``parameters`` cell may declare.
_TYPES: dict[str, Any] = {"str": str, "int": int, "float": FiniteFloat, "bool": bool}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a report, as its notebook's ``parameters`` cell declares it."""

    name: str
    type: str
    default: Any
    help: str

    def __str__(self) -> str:
        return f"{self.name}: {self.type} = {self.default!r}"


def list_reports() -> list[str]:
    """Names of the reports that can be made, one per notebook."""
    return sorted({file.stem for folder in _folders() for file in folder.glob("*.ipynb")})


def find_notebook(name: str) -> Path:
    """The notebook of a report.

    Raises
    ------
    ReportError
        If there is none; the message lists the reports that there are.
    """
    if name in list_reports():
        return next(file for folder in _folders() if (file := folder / f"{name}.ipynb").is_file())
    known = ", ".join(list_reports())
    if not known:
        looked = " and ".join(str(folder) for folder in _folders())
        raise ReportError(f"no report {name!r}: no notebooks in {looked}; install agentsim from a checkout")
    raise ReportError(f"no report {name!r}; there are: {known}")


def read_notebook(file: Path) -> nbformat.NotebookNode:
    """A notebook as nbformat's node, to be run by Python.

    Raises
    ------
    ReportError
        If the file is no notebook.
    """
    try:
        node: nbformat.NotebookNode = nbformat.read(file, as_version=4)  # type: ignore[no-untyped-call]
    except Exception as exc:  # nbformat raises errors of several libraries
        raise ReportError(f"{file}: not a readable notebook: {_first_line(exc)}") from exc
    # Whatever kernel somebody last chose in JupyterLab, or none: papermill asks for a name and a language.
    node.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return node


def parameters_of(file: Path) -> dict[str, Parameter]:
    """The parameters that a notebook declares, by name.

    Raises
    ------
    ReportError
        If there is not exactly one cell tagged ``parameters``, or a parameter has no plain type or default.
    """
    node = read_notebook(file)
    tagged = [cell for cell in node.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        raise ReportError(f"{file.name}: {len(tagged)} cells are tagged 'parameters'; there must be one")
    found = papermill.inspect_notebook(node)
    return {name: _parameter(file, declared) for name, declared in found.items()}


def check_parameters(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Values for a report's parameters, converted to the types that its notebook declares.

    Parameters
    ----------
    name : a report.
    given : values by name; text is converted, as it comes from a command line. ``run`` is not among them.

    Raises
    ------
    ReportError
        With every unknown name and every value of a wrong type at once, and what is known.
    """
    known = parameters_of(find_notebook(name))
    known.pop("run", None)
    fields: dict[str, Any] = {entry.name: (_TYPES[entry.type], entry.default) for entry in known.values()}
    model = create_model("Parameters", __config__=ConfigDict(extra="forbid"), **fields)
    try:
        checked = model.model_validate(dict(given))
    except ValidationError as exc:
        raise ReportError(_complaint(name, known, exc)) from None
    return {key: getattr(checked, key) for key in given}


def _complaint(name: str, known: Mapping[str, Parameter], exc: ValidationError) -> str:
    faults = []
    for error in exc.errors():
        key = str(error["loc"][0])
        if key == "run":
            faults.append("'run' is given by --run")
        elif key not in known:
            faults.append(f"no parameter {key!r}")
        else:
            faults.append(f"{key}={error['input']!r} is no {known[key].type}")
    listed = "; ".join(str(entry) for entry in known.values()) or "none"
    return f"report {name}: {', '.join(faults)}. Parameters: {listed}"


def _parameter(file: Path, declared: Mapping[str, str]) -> Parameter:
    name, kind = declared["name"], declared["inferred_type_name"]
    if kind not in _TYPES:
        raise ReportError(f"{file.name}: parameter {name!r} needs one of the types {', '.join(_TYPES)}")
    try:
        default = ast.literal_eval(declared["default"])
    except (SyntaxError, ValueError):
        raise ReportError(f"{file.name}: parameter {name!r} needs a plain value as its default") from None
    return Parameter(name, kind, default, declared["help"])


def _folders() -> list[Path]:
    """The checkout's own notebooks first, so that it does not matter where the command is given."""
    beside = Path(agentsim.__file__).resolve().parent.parent / "notebooks"
    return list(dict.fromkeys((beside, Path.cwd() / "notebooks")))


def _first_line(exc: BaseException) -> str:
    return (str(exc).strip() or type(exc).__name__).splitlines()[0]
