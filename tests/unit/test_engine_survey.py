"""Surveying the installed upstreams without importing them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from macfix import not_needed, unknown
from macfix.engine import survey
from macfix.engine._survey import locate
from tests.support.engine import ROOT, World, always, make_patch, make_plugin

MOD = f"{ROOT}.sub.mod"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.write(ROOT, "raise RuntimeError('must not be imported')", package=True)
    made.write(f"{ROOT}.sub", "raise RuntimeError('must not be imported')", package=True)
    made.write(MOD, "raise RuntimeError('must not be imported')")
    yield made
    made.close()


def test_a_target_is_judged_without_being_imported(world: World) -> None:
    plugin = make_plugin(
        [
            make_patch("a", MOD),
            make_patch("b", MOD, needed=always(not_needed("cured"))),
            make_patch("c", MOD, needed=lambda source: unknown(source.path)),
        ]
    )
    findings = survey([plugin])
    path = str(world.folder / ROOT / "sub" / "mod.py")
    ours = [f for f in findings if f.target == MOD]
    assert [(f.patch, f.verdict.state, f.path) for f in ours] == [
        ("a", "needed", path),
        ("b", "not needed", path),
        ("c", "unknown", path),
    ]
    assert ours[2].verdict.reason == path
    assert ROOT not in sys.modules


def test_a_target_that_is_not_installed_is_left_out(world: World) -> None:
    plugin = make_plugin([make_patch("a", f"{ROOT}.absent"), make_patch("b", "absent.mod")])
    assert survey([plugin]) == []


def test_a_patch_that_raises_is_an_unknown_with_its_error(world: World) -> None:
    (finding,) = survey([make_plugin([make_patch("a", MOD, needed=lambda source: 1 / 0)])])
    assert finding.verdict.state == "unknown"
    assert "ZeroDivisionError" in finding.verdict.reason


def test_a_patch_that_wants_to_end_the_program_is_an_unknown_too(world: World) -> None:
    (finding,) = survey([make_plugin([make_patch("a", MOD, needed=lambda source: sys.exit(3))])])
    assert finding.verdict.reason == "needed() raised SystemExit: 3"


def test_an_importer_that_misbehaves_does_not_hide_a_target(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Misbehaves:
        def find_spec(self, name: str, path: object = None, target: object = None) -> None:
            raise RuntimeError("not today")

    monkeypatch.setattr(sys, "meta_path", [Misbehaves(), *sys.meta_path])
    assert [f.target for f in survey([make_plugin([make_patch("a", MOD)])])] == [MOD]


def test_what_is_no_package_has_no_submodules(world: World) -> None:
    assert locate(f"{MOD}.deeper") is None
    assert locate("no_such_package_anywhere.mod") is None


def test_a_target_below_namespace_packages_is_found(world: World) -> None:
    folder = world.folder / "fakeup_ns" / "deep"
    folder.mkdir(parents=True)
    (folder / "mod.py").write_text("raise RuntimeError('must not be imported')")
    spec = locate("fakeup_ns.deep.mod")
    assert spec is not None
    assert spec.origin == str(folder / "mod.py")
    assert locate("fakeup_ns.deep.absent") is None
    assert "fakeup_ns" not in sys.modules
