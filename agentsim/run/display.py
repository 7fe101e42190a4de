"""How a notebook shows a Run: its manifest in a few lines, its tables, how far it has come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentsim import fragments
from agentsim.run.listing import state
from agentsim.tables import SCHEMAS

if TYPE_CHECKING:
    from agentsim.run.reading import Run


def run_html(run: Run) -> str:
    """A Run as HTML; only its manifest is read, so that it answers at once however large the Run is."""
    manifest = run.manifest
    told = {
        "status": state(run),
        "kind": manifest.kind,
        "seed": None if manifest.seed is None else str(manifest.seed),
        "made": manifest.created_at,
        "took": f"{manifest.wall_seconds:,.1f} s of wall time for {(manifest.end - manifest.start) / 1e6:,.0f} simulated s",
        "organisations": len(manifest.tenants),
        "fork of": manifest.fork.run if manifest.fork else None,
        "made by": ", ".join(
            f"{name} {manifest.versions[name]}"
            for name in ("agentsim", "python")
            if name in manifest.versions
        ),
        "make it again": fragments.Code(manifest.reproduce),
    }
    parts = {
        table: [entry for name, entry in manifest.files.items() if name.startswith(f"{table}/")]
        for table in SCHEMAS
    }
    rows = [
        (
            table,
            sum(entry.rows for entry in files),
            round(sum(entry.bytes for entry in files) / 1e6, 2),
            len(files),
        )
        for table, files in parts.items()
    ]
    title = f"Run {run.path.resolve().name}: {manifest.name}"
    return fragments.fragment(
        title, fragments.facts(told), fragments.table(("table", "rows", "MB", "files"), rows)
    )
