"""Parts of a page that its reader can move, without a kernel and without a network."""

from __future__ import annotations

import json
from dataclasses import dataclass

from IPython.display import display

from agentsim.reporting.scripts import read_script

#: What in JSON could end a script element, or begin anything else in HTML.
_IN_HTML = str.maketrans({sign: f"\\u{ord(sign):04x}" for sign in "<>&"})


@dataclass(frozen=True)
class Interactive:
    """HTML that says all without a script, and which a script of the package lets a reader move.

    A notebook keeps HTML and data; :func:`agentsim.reporting.page.to_page` puts the script into the page, once,
    however many parts there are for it. In the page a part is an element with ``data-script`` naming its script::

        for (const part of document.querySelectorAll('[data-script="threshold"]')) {
          const data = JSON.parse(part.querySelector('script[type="application/json"]').textContent);
          part.querySelector(".controls").hidden = false;
        }

    Controls carry ``hidden`` until the script shows them, so that there is none that does nothing.

    Attributes
    ----------
    html : a fragment of HTML, its texts escaped; it may begin with a ``<style>`` of its own.
    data : what the script needs, as :func:`json.dumps` takes it; no NaN.
    script : name of a file in ``templates/scripts``, without ``.js``.
    """

    html: str
    data: object
    script: str

    def _ipython_display_(self) -> None:
        read_script(self.script)  # A wrong name is told here and not when the page is made.
        # All but ASCII is escaped, also what only JavaScript takes for the end of a line.
        data = json.dumps(self.data, allow_nan=False, separators=(",", ":")).translate(_IN_HTML)
        made = (
            f'<div class="agentsim-interactive" data-script="{self.script}">{self.html}'
            f'<script type="application/json">{data}</script></div>'
        )
        metadata = {"text/html": {"script": self.script}}
        shown = {"text/html": made, "text/plain": f"interactive in a page: {self.script}"}
        display(shown, metadata=metadata, raw=True)  # type: ignore[no-untyped-call]
