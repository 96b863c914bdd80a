"""What docs/simulation.md promises is what there is."""

from __future__ import annotations

import re
import sys

import pytest

from macfix.simulate import Spec
from tests.support.sandbox import Sandbox
from tests.support.simulated import Simulated
from tests.support.surroundings import REPOSITORY

TEXT = (REPOSITORY / "docs" / "simulation.md").read_text()


def test_every_test_that_the_document_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", TEXT))
    sources = (REPOSITORY / "tests" / "unit").glob("test_*.py")
    defined = {name for file in sources for name in re.findall(r"def (test_\w+)", file.read_text())}
    assert len(named) > 30
    assert named - defined == set()


def test_every_key_of_a_spec_is_documented_with_its_default() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \|", TEXT, re.MULTILINE)
    documented = {
        key: default.group(1) for key, v in rows if (default := re.search(r"\*\*(\w+)", v))
    }
    fields = {name: str(getattr(Spec(), name)) for name in Spec.__dataclass_fields__}
    assert documented == {name: value for name, value in fields.items() if name != "guests"}
    assert "guests" in dict(rows)


@pytest.mark.skipif(sys.platform != "linux", reason="simulates on Linux")
def test_what_stays_of_linux_and_what_goes_is_what_the_document_says(sandbox: Sandbox) -> None:
    said = " ".join(TEXT.partition("- **Linux-only functions**")[2].partition("\n- ")[0].split())
    stay, _, goes = said.partition("stay;")
    names = re.findall(r"`(\w+)`", stay)
    lacks = re.findall(r"only `(\w+)` goes", goes)
    program = f"""
import os, select, signal
tell(
    stay=[name for name in {names[2:]} if hasattr(os, name) or hasattr(signal, name)],
    goes=[name for name in {lacks} if not hasattr(select, name)],
    kqueue=hasattr(select, "kqueue"),
)
"""
    seen = Simulated(sandbox).mac(program)
    assert names[:2] == ["os", "signal"] and "`kqueue` knows" in goes
    assert seen == {"stay": names[2:], "goes": ["epoll"], "kqueue": True}
