"""The terminals that README and docs show are what the commands print now.

If one of these fails: `python -m docs.draw_terminal` draws the pictures anew.
"""

from __future__ import annotations

import re

import pytest

from docs import draw_terminal
from macfix.cli import demo
from tests.support import pythons, upstream
from tests.support.surroundings import HEAVY
from tests.support.worlds import ON_A_MAC

OF_THE_MACHINE = ("Python", "sockets", "open files", "import hooks", "TLS roots", "docker")
"""Rows of `doctor` whose text is the machine's; that there are such rows is not."""

VARYING = {
    r"\(?[~/][\w.~-]*/\S*": "PATH",
    r"'(\S*?)\d{4,}(\.x+)?(\.{3})?'?": r"'\1N'",  # keys with a pid in them
    r"\b\d{4,}\b|(?<=needs)\s+\d+": "N",  # the length of a path with a pid in it
}
"""What is another text each time, or on another machine."""


def telling(text: str) -> list[str]:
    """The words of what a terminal shows, without those of the machine."""
    kept, leaves_out = [], False
    for line in filter(str.strip, re.sub(r"\x1b\[[\d;]*m", "", text).splitlines()):
        name = re.match(r"  (\w+( \w+)?)  ", line)
        if name or not line.startswith("      "):
            leaves_out = name is not None and name[1] in OF_THE_MACHINE
            kept.append(name[0] if name and leaves_out else line)
        elif not leaves_out:
            kept.append(line)
    text = "\n".join(kept)
    for pattern, instead in VARYING.items():
        text = re.sub(pattern, instead, text)
    return text.split()


def printed(name: str) -> str:
    """What the commands of a picture print now."""
    shown = draw_terminal.session(draw_terminal.PICTURES[name])
    return "\n".join(f"$ {command}\n{text}" for command, text in shown)


@pytest.mark.skipif(ON_A_MAC, reason="the pictures are of the simulation")
@pytest.mark.parametrize(
    "name", draw_terminal.PICTURES if HEAVY == "full" else ["status", "doctor"]
)
def test_a_picture_shows_what_is_printed_now(name: str) -> None:
    try:
        upstream.checkout("piker")
        upstream.checkout("tractor")
        if pythons.find(pythons.PIKER) is None:
            pytest.skip("no environment for piker: build one as docs/piker.md says")
    except (upstream.UpstreamMissingError, pythons.NoPythonError) as error:
        pytest.skip(str(error))
    drawn = telling(draw_terminal.drawn(name))
    assert len(drawn) > 40
    assert drawn == telling(printed(name))


def test_the_picture_of_the_demo_has_every_row() -> None:
    """Without running it."""
    text = draw_terminal.drawn("demo")
    shown, not_shown = demo._patch_cases()
    rows = re.findall(r"^  (\S.*?)  +fixed ", text, re.MULTILINE)
    assert rows == [case.title for case in (*demo.PROGRAM_CASES, *shown)]
    names = text.partition("not shown")[2].partition("They need")[0]
    assert [name.strip(",") for name in names.split()] == not_shown
