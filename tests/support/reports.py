"""Tables of what long proofs measured, printed at the end of a test run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Tables:
    """Rows under titles, in the order in which they came."""

    rows: dict[str, list[tuple[str, ...]]] = field(default_factory=dict)

    def add(self, title: str, *cells: object) -> None:
        """Append a row of `cells` to the table `title`."""
        self.rows.setdefault(title, []).append(tuple(map(str, cells)))

    def lines(self) -> Iterator[str]:
        """Yield the tables as text, columns aligned."""
        for title, rows in self.rows.items():
            widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
            yield ""
            yield title
            for row in rows:
                cells = zip(row, widths, strict=True)
                yield "  " + "  ".join(cell.ljust(width) for cell, width in cells).rstrip()
