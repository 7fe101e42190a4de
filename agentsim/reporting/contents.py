"""Where one is in a page: headings that can be linked to, and a list of them under the summary."""

from __future__ import annotations

import re
from html import escape

from bs4 import BeautifulSoup

#: Stands in the page where the list goes; the template writes it.
PLACE = "<!-- contents -->"
#: A page with fewer headings than this needs no list of them.
_LONG = 4
_HEADING = re.compile(r"<h2>(.*?)</h2>", re.DOTALL)


def with_contents(page: str) -> str:
    """The page with an anchor at each second-level heading that has none, and their list where it is long."""
    anchors: dict[str, str] = {}

    def anchored(match: re.Match[str]) -> str:
        text = " ".join(BeautifulSoup(match[1], "html.parser").get_text().split())
        wanted = re.sub(r"\W+", "-", text.lower()).strip("-") or "part"
        anchor = wanted
        while anchor in anchors:
            anchor = f"{wanted}-{len(anchors)}"
        anchors[anchor] = text
        return f'<h2 id="{anchor}">{match[1]}</h2>'

    page = _HEADING.sub(anchored, page)
    items = "".join(f'<li><a href="#{anchor}">{escape(text)}</a></li>' for anchor, text in anchors.items())
    listed = f'<nav class="contents" aria-label="On this page"><p>On this page</p><ul>{items}</ul></nav>'
    return page.replace(PLACE, listed if len(anchors) >= _LONG else "", 1)
