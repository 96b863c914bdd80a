"""Draws the terminals that README and docs show, from what the commands really print.

    pip install -e '.[docs]' && python -m docs.draw_terminal [FOLDER]

The commands run under the simulation, with the real tractor and piker in the environment that the
tests build (tests/support/pythons.py). The pictures go to FOLDER, or to docs/images.
"""

from __future__ import annotations

import html
import io
import os
import re
import sys
import tempfile
from pathlib import Path

from tests.support import pythons, upstream
from tests.support.terminal import COLUMNS, at_a_terminal

ROOT = Path(__file__).resolve().parents[1]
PICTURES = {
    "before-and-after": ("simulate piker --help", "--simulate piker --help"),
    "status": ("--simulate status",),
    "doctor": ("--simulate doctor",),
    "demo": ("demo",),
}
"""What is shown: the commands after `python -m macfix`."""

LINES = {"simulate piker --help": -4, "--simulate piker --help": -12, "--simulate doctor": 44}
"""How many lines of a command's output are shown, at most: from its end if negative."""


def session(commands: tuple[str, ...]) -> list[tuple[str, str]]:
    """What a terminal shows of each command: its line, and what it prints, with colours."""
    shown = []
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        home = Path(place, "home")
        home.mkdir()
        for command in commands:
            lines = run(command, home).rstrip().splitlines()
            most = LINES.get(command, 90)
            kept = lines[most:] if most < 0 else lines[:most]
            if len(kept) < len(lines):
                kept.insert(0 if most < 0 else len(kept), "…")
            shown.append((f"python -m macfix {command}", "\n".join(kept)))
    return shown


def run(command: str, home: Path) -> str:
    """What the command prints, with the sandbox's paths as on a Mac of somebody's."""
    python = pythons.find(pythons.PIKER)
    assert python is not None, "the environment for piker is not built yet"
    commits = {"piker": upstream.PIKER, "tractor": upstream.PIKERS_TRACTOR}
    sources = {str(upstream.take(name, commits[name], home.parent)): name for name in commits}
    (home / "piker").write_text("from piker.cli import cli\ncli()\n")
    env = {
        "HOME": str(home),
        "PATH": os.defpath,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sources]),
        "LC_ALL": "C.UTF-8",
    }
    _, seen = at_a_terminal([python, "-m", "macfix", *command.split()], cwd=home, env=env)
    places = {path: f"~/{name}" for path, name in sources.items()}
    places |= {str(home): "~", str(ROOT): "~/macfix", str(python.parents[1]): "~/env"}
    for path, name in {**places, str(Path.home()): "~"}.items():
        seen = seen.replace(path, name)
    # of what is written over, such as the demo's progress, the last
    return "\n".join(line.rpartition("\r")[2] for line in seen.split("\n"))


def draw(name: str, folder: Path) -> None:
    """Write the picture *name*."""
    from rich.console import Console  # not needed to compare a picture with what is printed now
    from rich.text import Text

    text = Text()
    for line, printed in session(PICTURES[name]):
        text.append("$ ", "bold green").append(f"{line}\n", "bold")
        text.append(Text.from_ansi(printed)).append("\n")
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(text, end="")
    picture = console.export_svg(title="macfix")
    # the viewer's own fonts: no request to anybody's server
    picture = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)
    (folder / f"{name}.svg").write_text(picture.replace("Fira Code", "Menlo, Consolas"))


def drawn(name: str) -> str:
    """The text that the picture *name* of docs/images shows."""
    picture = (ROOT / "docs" / "images" / f"{name}.svg").read_text()
    lines: dict[int, list[tuple[float, str]]] = {}
    parts = r'<text [^>]*?x="([\d.]+)" [^>]*?clip-path="url\(#[\w-]+line-(\d+)\)">(.*?)</text>'
    for x, line, text in re.findall(parts, picture, re.DOTALL):
        lines.setdefault(int(line), []).append((float(x), html.unescape(text)))
    rows = ("".join(text for _, text in sorted(lines[line])) for line in sorted(lines))
    return "\n".join(rows).replace("\xa0", " ")


if __name__ == "__main__":
    for each in PICTURES:
        draw(each, Path(sys.argv[1]) if sys.argv[1:] else ROOT / "docs" / "images")
