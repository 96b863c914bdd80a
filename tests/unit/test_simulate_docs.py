"""What docs/simulation.md promises is what there is."""

from __future__ import annotations

import re

from macfix.simulate import Spec
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
