"""The pages that users read, and the tables in them that tests hold against the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from tests.support.surroundings import REPOSITORY

PAGES = [
    page
    for folder in ("", "docs", ".github")
    for page in sorted((REPOSITORY / folder).glob("*.md"))
]
README = REPOSITORY / "README.md"


class Message(NamedTuple):
    """What docs/errors.md says of a message of macfix's own."""

    why: str
    cure: str
    see: str

    def command(self) -> str | None:
        """The command that shows it, where that is all there is to do."""
        found = re.fullmatch(r"`([^`]+)`", self.see)
        return found and found[1]


def errors() -> tuple[str, str]:
    """The two parts of docs/errors.md: upstream's messages, and macfix's own."""
    page = (REPOSITORY / "docs" / "errors.md").read_text()
    upstreams, _, own = page.partition("## From macfix itself")
    return upstreams, own


def own_messages() -> dict[str, Message]:
    """The messages of macfix's own that docs/errors.md explains."""
    cells = r"^\| `([^`]+)` \|([^|]*)\|([^|]*)\|([^|]*)\|$"
    rows = re.findall(cells, errors()[1], re.MULTILINE)
    return {message: Message(*(text.strip() for text in said)) for message, *said in rows}


def variables(page: Path) -> list[str]:
    """The rows of a page's table of environment variables."""
    table = page.read_text().partition("<!-- variables -->\n")[2].partition("<!-- /vari")[0]
    return table.splitlines()[2:]
