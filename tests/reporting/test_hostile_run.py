"""A Run that somebody else has made: every text of it means harm, and is text in every report."""

import hashlib
import json
import re
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bs4 import BeautifulSoup

from agentsim.reporting import make_report
from agentsim.reporting.catalogue import NOTEBOOKS
from agentsim.reporting.page import faults
from agentsim.reporting.summary import MEDIA_TYPE
from agentsim.run import FileEntry, Run, save_manifest

#: Each by what it would slip into: markup, a style, a script, a link, Markdown, a terminal, a formula, another line.
HOSTILE = (
    "<b data-planted>markup</b><script>planted()</script>",
    "</style></script></title><img src=x data-planted onerror=planted()>",
    "\"'><a data-planted href=javascript:planted()>link</a>",
    "[link](javascript:planted()) ![image](http://planted.example/x.png)",
    "\x1b[2J\x9b31mred\r\x07\nline\u202e",
    "$\\frac{planted}$ {{7*7}} {% include 'planted' %} `planted`",
)
#: The columns that hold whatever somebody has chosen. What the program chooses itself (kinds, states, roles' classes) means something.
NAMES = {
    "agents": ("agent_name", "description", "owner", "role"),
    "tokens": (
        "task_id",
        "parent_task_id",
        "task_description",
        "principal",
        "owner",
        "role",
        "revocation_reason",
    ),
    "audit": ("task_id", "parent_task_id", "reason", "source_ip"),
    "revocations": ("subject", "owner", "reason", "revoked_by"),
    "labels": ("attack", "detail"),
    "exposures": ("resource",),
}
KINDS = [name for name, notebook in NOTEBOOKS.items() if (notebook.kind, notebook.about) == ("page", "run")]
#: What is played anew has names of its own.
SMALL = {
    "scale": {"tree_grants": "20", "exposure_agents": "0"},
    "anomaly": {"alert_budget": "3000", "companion_agents": "200", "contain_agents": "0"},
}


def rename(run: Run) -> None:
    """Let every text be another one that means harm, alike ones alike."""
    known: dict[str, str] = {}
    for table, columns in NAMES.items():
        for file in run.files(table):
            rows = pq.read_table(file)
            for column in columns:
                place, kind = rows.schema.get_field_index(column), rows.schema.field(column).type
                texts = [
                    text and known.setdefault(text, f"{HOSTILE[len(known) % len(HOSTILE)]} {len(known)}")
                    for text in rows[column].to_pylist()
                ]
                rows = rows.set_column(
                    place, rows.schema.field(place), pa.array(texts, pa.string()).cast(kind)
                )
            pq.write_table(rows, file)
            name = str(file.relative_to(run.path))
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            run.manifest.files[name] = FileEntry(sha256=digest, rows=len(rows), bytes=file.stat().st_size)
    save_manifest(run)


@pytest.fixture
def evil(run, tmp_path) -> Run:
    folder = tmp_path / "<b data-planted>\x1b[2J\x9b31m"
    shutil.copytree(run.path, folder)
    copy = Run(folder)
    copy.manifest.name = HOSTILE[0]
    copy.manifest.reproduce = f"agentsim simulate {' '.join(HOSTILE)}"
    rename(copy)
    return Run(folder)


@pytest.mark.parametrize("name", KINDS)
def test_whatever_a_run_calls_things_is_text_in_its_report(run, evil, tmp_path, name):
    runs = [run.path, evil.path] if NOTEBOOKS[name].runs == "several" else evil.path
    made = make_report(name, runs, SMALL.get(name, {}), tmp_path / "out")
    for page in (made.html, made.index):
        assert_harmless(page.read_text(encoding="utf-8"))
    for cell in json.loads(made.notebook.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            for kind, text in output.get("data", {}).items():
                # Markdown and LaTeX would be read as such by whoever opens the notebook.
                assert kind in (
                    "text/html",
                    "text/plain",
                    "image/png",
                    MEDIA_TYPE,
                ), kind
                if kind == "text/html":
                    assert_harmless("".join(text), page=False)


def assert_harmless(text: str, *, page: bool = True) -> None:
    assert not page or (faults(text) == [] and not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text))
    soup = BeautifulSoup(text, "html.parser")
    assert soup.select("[data-planted]") == []
    # File names have letters alone; a link that says more leads elsewhere.
    links = [link["href"] for link in soup.select("a[href]")]
    assert [link for link in links if "planted()" in link or "planted.example" in link] == []
    assert "49" not in soup.text.partition("$\\frac{planted}$")[2][:20]
