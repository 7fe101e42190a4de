"""Run a notebook in a kernel of this very interpreter.

Jupyter looks a kernel's name up in the user's folders, too, where ``python3`` may be any Python on the
machine. Here it is always ``sys.executable``, with the same ``agentsim``, and without the user's IPython
profile, so that a report does not depend on whose account makes it.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import papermill
import zmq
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from papermill.exceptions import PapermillExecutionError
from traitlets import default

import agentsim
from agentsim.reporting.errors import ReportError

#: What a served process may find in its environment, and a report has no use for: what it shows is handed on.
_SECRETS = frozenset(("AGENTSIM_ADMIN_TOKEN", "AGENTSIM_KEYS", "PGPASSWORD"))
#: Seconds that a kernel may take to start; a busy machine with a cold cache needs some.
_START_TIMEOUT = 120

# Whatever papermill logs of a failing notebook is in the error that we raise.
logging.getLogger("papermill").addHandler(logging.NullHandler())


def execute(
    notebook: nbformat.NotebookNode, parameters: Mapping[str, Any], *, progress: bool = False
) -> nbformat.NotebookNode:
    """Execute a notebook with parameters in the current directory; nothing is written there.

    Parameters
    ----------
    notebook : an unexecuted notebook with a cell tagged ``parameters``.
    parameters : values that the caller has checked; at least one.
    progress : show a bar of cells on standard error.

    Raises
    ------
    ReportError
        If a cell fails, with its error in one line, or the kernel does not start.
    """
    with tempfile.TemporaryDirectory(prefix="agentsim-") as folder:
        errors = Path(folder) / "stderr"
        try:
            # Libraries under papermill warn of their own affairs, which no reader of a report can mend.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                done: nbformat.NotebookNode = papermill.execute_notebook(
                    notebook,
                    None,
                    parameters=dict(parameters),
                    kernel_name="python3",
                    language="python",
                    progress_bar=progress,
                    start_timeout=_START_TIMEOUT,
                    cwd=Path.cwd(),
                    kernel_manager_class=_manager(Path(folder), errors),
                )
                return done
        except PapermillExecutionError as exc:
            raise ReportError(_cell_error(exc)) from exc
        except RuntimeError as exc:
            last = errors.read_text(errors="replace").strip() if errors.exists() else ""
            raise ReportError(f"the notebook's kernel died: {(last or str(exc)).splitlines()[-1]}") from exc


def _cell_error(exc: PapermillExecutionError) -> str:
    # papermill counts from 0 and puts the injected parameters in as a cell of their own.
    message = " ".join(str(exc.evalue).split())
    return f"cell {exc.cell_index} of the notebook failed: {exc.ename}{': ' if message else ''}{message}"


class _OneKernel(KernelSpecManager):
    """Knows one kernel, whatever it is called: the interpreter that runs this code."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        del kernel_name
        launch = [sys.executable, "-X", "frozen_modules=off", "-m", "ipykernel_launcher"]
        return KernelSpec(
            argv=[*launch, "-f", "{connection_file}"],
            display_name="agentsim",
            language="python",
            metadata={"supported_encryption": ["curve"]},
        )


def _manager(profile: Path, errors: Path) -> type[AsyncKernelManager]:
    """A kernel manager whose kernels keep their own profile and send standard error to a file."""

    class Manager(AsyncKernelManager):
        @default("kernel_spec_manager")
        def _only_this_interpreter(self) -> KernelSpecManager:
            return _OneKernel(parent=self)

        @default("transport_encryption")
        def _encrypted_where_possible(self) -> str:
            return "auto" if zmq.has("curve") else "disabled"

        async def _async_pre_start_kernel(self, **keywords: Any) -> tuple[list[str], dict[str, Any]]:
            keywords["env"] = _environment(profile)
            return await super()._async_pre_start_kernel(**keywords)

        async def _async_launch_kernel(self, kernel_cmd: list[str], **keywords: Any) -> None:
            with errors.open("wb") as stream:
                await super()._async_launch_kernel(kernel_cmd, stderr=stream, **keywords)

    return Manager


def _environment(profile: Path) -> dict[str, str]:
    package = str(Path(agentsim.__file__).resolve().parent.parent)
    inherited = os.environ.get("PYTHONPATH")
    return {
        **{name: value for name, value in os.environ.items() if name not in _SECRETS},
        "PYTHONPATH": os.pathsep.join([package, *([inherited] if inherited else [])]),
        "IPYTHONDIR": str(profile),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
