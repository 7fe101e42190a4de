"""Where notebooks are, and what may be given to one.

The project's own are in :mod:`agentsim.reporting.catalogue`. A notebook of a user's own, put into ``notebooks/`` of the
current directory, becomes a report just so; its model is made from its ``parameters`` cell. papermill only warns of
a parameter that a notebook does not have, and takes a value of any type; so both are checked here, before anything runs.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
import papermill
from pydantic import Field, ValidationError, create_model

import agentsim
from agentsim.reporting.catalogue import NOTEBOOKS, Notebook, Parameters
from agentsim.reporting.errors import ReportError

#: What a ``parameters`` cell may declare.
_TYPES: dict[str, Any] = {"str": str, "int": int, "float": float, "bool": bool, "list[str]": list[str]}


def list_notebooks() -> list[str]:
    """Names of all notebooks that are there, the user's own among them."""
    return sorted({file.stem for folder in _folders() for file in folder.glob("*.ipynb")})


def list_reports() -> list[str]:
    """Names of the reports that can be made: notebooks that are pages."""
    return [name for name in list_notebooks() if name not in NOTEBOOKS or NOTEBOOKS[name].kind == "page"]


def find_notebook(name: str) -> Path:
    """The file of a notebook.

    Raises
    ------
    ReportError
        If there is none; the message lists the reports that there are.
    """
    if name in list_notebooks():
        return next(file for folder in _folders() if (file := folder / f"{name}.ipynb").is_file())
    known = ", ".join(list_reports())
    if not known:
        looked = " and ".join(str(folder) for folder in _folders())
        raise ReportError(f"no report {name!r}: no notebooks in {looked}; install agentsim from a checkout")
    raise ReportError(f"no report {name!r}; there are: {known}")


def describe(name: str) -> Notebook:
    """A report as the catalogue has it; for a user's own notebook, as its ``parameters`` cell declares it.

    Raises
    ------
    ReportError
        If there is none, or it is one to be worked through and not a page.
    """
    file = find_notebook(name)
    known = NOTEBOOKS.get(name)
    if known is None:
        model = declared(file)
        takes = set(model.model_fields)
        return Notebook(
            name,
            "A notebook of your own.",
            model,
            runs="several" if "runs" in takes else "one" if "run" in takes else "none",
        )
    if known.kind != "page":
        raise ReportError(f"{name} is a notebook to be worked through: open it with 'agentsim lab'")
    return known


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


def declared(file: Path) -> type[Parameters]:
    """The parameters that a notebook's cell declares, as a model.

    Raises
    ------
    ReportError
        If there is not exactly one cell tagged ``parameters``, or a parameter has no plain type or default.
    """
    node = read_notebook(file)
    tagged = [cell for cell in node.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        raise ReportError(f"{file.name}: {len(tagged)} cells are tagged 'parameters'; there must be one")
    fields: dict[str, Any] = {
        name: _field(file, found) for name, found in papermill.inspect_notebook(node).items()
    }
    return create_model("Parameters", __base__=Parameters, **fields)


def check_parameters(notebook: Notebook, runs: Sequence[str], given: Mapping[str, Any]) -> Parameters:
    """What a notebook is given, checked and converted; what is not given keeps its default.

    Parameters
    ----------
    notebook : see :func:`describe`.
    runs : directories of the Runs.
    given : further values by name; text is converted, as it comes from a command line.

    Raises
    ------
    ReportError
        With every unknown name and every wrong value at once, and what is known.
    """
    own = [name for name in given if name in ("run", "runs")]
    values = {name: value for name, value in given.items() if name not in own}
    if notebook.runs != "none":
        values |= {"run": runs[0]} if notebook.runs == "one" else {"runs": list(runs)}
    try:
        checked = notebook.parameters.model_validate(values)
        faults = []
    except ValidationError as exc:
        faults = _faults(notebook, exc)
    faults += [f"{name!r} is given by --run" for name in own]
    if faults:
        listed = "; ".join(parameter_lines(notebook.parameters)) or "none"
        raise ReportError(f"report {notebook.name}: {', '.join(faults)}. Parameters: {listed}")
    return checked


def parameter_lines(model: type[Parameters]) -> list[str]:
    """Each parameter as a ``parameters`` cell declares it, without the Runs."""
    return [
        f"{name}: {type_name(model, name)} = {field.default!r}"
        for name, field in model.model_fields.items()
        if name not in ("run", "runs")
    ]


def type_name(model: type[Parameters], name: str) -> str:
    """The type of a parameter, as a ``parameters`` cell names it."""
    return next(known for known, kind in _TYPES.items() if kind == model.model_fields[name].annotation)


def _faults(notebook: Notebook, exc: ValidationError) -> list[str]:
    faults = []
    for error in exc.errors():
        key = str(error["loc"][0])
        if error["type"] == "extra_forbidden":
            faults.append(f"no parameter {key!r}")
        elif "parsing" in error["type"] or error["type"] in ("int_from_float", "finite_number"):
            faults.append(f"{key}={error['input']!r} is no {type_name(notebook.parameters, key)}")
        else:
            faults.append(f"{key}={error['input']!r}: {error['msg'].lower()}")
    return faults


def _field(file: Path, found: Mapping[str, str]) -> tuple[Any, Any]:
    name, kind = found["name"], found["inferred_type_name"]
    if kind not in _TYPES:
        raise ReportError(f"{file.name}: parameter {name!r} needs one of the types {', '.join(_TYPES)}")
    try:
        default = ast.literal_eval(found["default"])
    except (SyntaxError, ValueError):
        raise ReportError(f"{file.name}: parameter {name!r} needs a plain value as its default") from None
    return _TYPES[kind], Field(default, description=found["help"])


def _folders() -> list[Path]:
    """The checkout's own notebooks first, so that it does not matter where the command is given."""
    beside = Path(agentsim.__file__).resolve().parent.parent / "notebooks"
    return list(dict.fromkeys((beside, Path.cwd() / "notebooks")))


def _first_line(exc: BaseException) -> str:
    return (str(exc).strip() or type(exc).__name__).splitlines()[0]
