"""An executed notebook as one page that needs no network and shows no code."""

from __future__ import annotations

import re

import nbformat
from bs4 import BeautifulSoup, Tag
from nbconvert.exporters import HTMLExporter
from traitlets.config import Config

from agentsim.fragments import without_controls
from agentsim.reporting.contents import PLACE, with_contents
from agentsim.reporting.errors import ReportError
from agentsim.reporting.finished import GENERATOR
from agentsim.reporting.scripts import content_policy, is_ours, read_script
from agentsim.reporting.summary import MEDIA_TYPE, TEMPLATES

#: The traits of nbconvert's exporter that name something to be fetched from elsewhere.
_ADDRESSES = (
    "require_js_url",
    "mathjax_url",
    "mermaid_js_url",
    "mermaid_layout_elk_js_url",
    "jquery_url",
    "jupyter_widgets_base_url",
    "widget_renderer_url",
)
_FETCHING = ("src", "poster", "data", "background", "xlink:href", "formaction", "action")
_REMOTE = re.compile(r"^\s*(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
_REMOTE_IN_CSS = re.compile(r"(?:url\(|@import)\s*[\"']?\s*(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
_SCRIPTED = re.compile(r"^\s*javascript:", re.IGNORECASE)
#: What nbconvert writes where a notebook gave no text.
_PLACEHOLDER = "No description has been provided"


def to_page(notebook: nbformat.NotebookNode, title: str) -> str:
    """Turn an executed notebook into a self-contained HTML page.

    Parameters
    ----------
    notebook : executed notebook.
    title : title of the page; any text.

    Raises
    ------
    ReportError
        If the page would fetch something or run a script that is not the package's, or an image has no text of
        its own.
    """
    scripts = [read_script(name) for name in _scripts_of(notebook)]
    exporter = HTMLExporter(  # type: ignore[no-untyped-call]
        config=Config(),
        template_name="agentsim",
        extra_template_basedirs=[str(TEMPLATES / "nbconvert")],
        exclude_input=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        exclude_anchor_links=True,
        language_code="en",
        **dict.fromkeys(_ADDRESSES, ""),
    )
    resources = {
        "page_title": title,
        "generator": GENERATOR,
        "content_policy": content_policy(scripts),
        "scripts": scripts,
        "summary": MEDIA_TYPE,
        "contents": PLACE,
    }
    text, _ = exporter.from_notebook_node(notebook, resources=resources)
    page = without_controls(with_contents(text))
    problems = faults(page)
    if problems:
        raise ReportError(f"the page is not fit to be sent: {'; '.join(problems)}")
    return page


def faults(page: str) -> list[str]:
    """What keeps a page from being sent around: what it would fetch or run, and images without a text."""
    soup = BeautifulSoup(page, "html.parser")
    found = []
    for element in soup.find_all(True):
        found += [
            f"<{element.name}> fetches {address[:80]}"
            for address in _addresses(element)
            if _is_remote(address)
        ]
        if _runs(element):
            found.append(f"<{element.name}> runs a script that is not agentsim's")
        if element.name == "img" and not _describes(str(element.get("alt", ""))):
            found.append("an image has no text that says what it shows")
        style = str(element.get("style", "")) + (element.get_text() if element.name == "style" else "")
        if _REMOTE_IN_CSS.search(style):
            found.append(f"the style of <{element.name}> fetches something")
    return found


def _addresses(element: Tag) -> list[str]:
    """What a browser fetches for an element by itself; links that a reader follows are not among it."""
    names = _FETCHING if element.name in ("a", "area") else (*_FETCHING, "href")
    values = [str(element.get(name, "")) for name in names]
    return [*values, *str(element.get("srcset", "")).split(",")]


def _scripts_of(notebook: nbformat.NotebookNode) -> list[str]:
    """Names of the scripts that a notebook's outputs are made for, each once."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    named = [output.get("metadata", {}).get("text/html", {}).get("script") for output in outputs]
    return sorted({str(name) for name in named if name})


def _runs(element: Tag) -> bool:
    """Whether an element runs a script that is none of the package's; data in a script element do not run."""
    if element.name == "script":
        return element.get("type") != "application/json" and not is_ours(element.get_text())
    addresses = [str(element.get(name, "")) for name in ("href", "xlink:href", "src", "action", "formaction")]
    return any(name.startswith("on") for name in element.attrs) or any(map(_SCRIPTED.match, addresses))


def _is_remote(address: str) -> bool:
    return _REMOTE.match(address) is not None


def _describes(text: str) -> bool:
    return bool(text.strip()) and not text.startswith(_PLACEHOLDER)
