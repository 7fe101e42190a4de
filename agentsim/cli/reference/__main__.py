"""Make the reference in ``docs/`` again: ``python -m agentsim.cli.reference``."""

import sys
from pathlib import Path

from agentsim.cli.reference.pages import filled

_DOCS = Path(__file__).parents[3] / "docs"


def main() -> None:
    """Fill all places of all pages, and name the pages that changed."""
    for page in sorted(_DOCS.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        made = filled(text)
        if made != text:
            page.write_text(made, encoding="utf-8")
            sys.stdout.write(f"docs/{page.name}\n")


main()
