"""Surveying the installed upstreams without importing them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from macfix import not_needed, unknown
from macfix.engine.config import Config
from macfix.engine.plugins import Plugins
from macfix.engine.survey import SurveyRow, locate, survey
from tests.support.engine import ROOT, FakeUpstream, always, make_patch, make_plugin

MOD = f"{ROOT}.sub.mod"


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[FakeUpstream]:
    made = FakeUpstream(tmp_path)
    made.write(ROOT, "raise RuntimeError('must not be imported')", package=True)
    made.write(f"{ROOT}.sub", "raise RuntimeError('must not be imported')", package=True)
    made.write(MOD, "raise RuntimeError('must not be imported')")
    yield made
    made.close()


def findings(
    *patches: ModuleType, target: str = MOD, packages: tuple[str, ...] = (ROOT,)
) -> list[SurveyRow]:
    return survey(Plugins(Config(), {"p": make_plugin(by_target={target: patches})}), packages)


def test_without_any_of_the_packages_nobody_is_asked(upstream: FakeUpstream) -> None:
    patch = make_patch()
    assert findings(patch, packages=("no_such_package",)) == [] != findings(patch)


def test_a_target_is_diagnosed_without_being_imported(upstream: FakeUpstream) -> None:
    found = findings(
        make_patch("a"),
        make_patch("b", diagnose=always(not_needed("fixed"))),
        make_patch("c", diagnose=lambda source: unknown(source.path)),
    )
    path = str(upstream.folder / ROOT / "sub" / "mod.py")
    assert found == [
        SurveyRow("p-a", MOD, path, "needed", "the test says so"),
        SurveyRow("p-b", MOD, path, "not needed", "fixed"),
        SurveyRow("p-c", MOD, path, "unknown", path),
    ]
    assert ROOT not in sys.modules


def test_patches_of_every_platform_are_asked(upstream: FakeUpstream) -> None:
    (finding,) = findings(make_patch("a", PLATFORMS=frozenset({"beos"})))
    assert finding.state == "needed"


@pytest.mark.parametrize("target", [f"{ROOT}.absent", "absent.mod"])
def test_a_target_that_is_not_installed_is_left_out(upstream: FakeUpstream, target: str) -> None:
    assert findings(make_patch(), target=target) == []


def test_a_target_whose_source_cannot_be_read_is_unknown(upstream: FakeUpstream) -> None:
    import py_compile

    file = upstream.folder / ROOT / "sub" / "mod.py"
    py_compile.compile(str(file), cfile=str(file.with_suffix(".pyc")))
    file.unlink()
    (finding,) = findings(make_patch())
    assert (finding.state, finding.reason) == ("unknown", "its source cannot be read")


@pytest.mark.parametrize("error", [ZeroDivisionError("wrong"), SystemExit(3)], ids=repr)
def test_a_patch_that_raises_is_an_unknown_with_its_error(
    upstream: FakeUpstream, error: BaseException
) -> None:
    def diagnose(source: object) -> object:
        raise error

    (finding,) = findings(make_patch(diagnose=diagnose))
    assert finding.state == "unknown"
    assert finding.reason == f"diagnose() raised {type(error).__name__}: {error}"


def test_an_importer_that_misbehaves_does_not_hide_a_target(
    upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Misbehaves:
        def find_spec(self, name: str, path: object = None, target: object = None) -> None:
            raise RuntimeError("not today")

    monkeypatch.setattr(sys, "meta_path", [Misbehaves(), *sys.meta_path])
    assert [finding.target for finding in findings(make_patch())] == [MOD]


def test_what_is_no_package_has_no_submodules(upstream: FakeUpstream) -> None:
    assert locate(f"{MOD}.deeper") is None
    assert locate("no_such_package_anywhere.mod") is None


def test_a_target_below_namespace_packages_is_found(upstream: FakeUpstream) -> None:
    folder = upstream.folder / "fakeup_ns" / "deep"
    folder.mkdir(parents=True)
    (folder / "mod.py").write_text("raise RuntimeError('must not be imported')")
    spec = locate("fakeup_ns.deep.mod")
    assert spec is not None
    assert (spec.name, spec.origin) == ("fakeup_ns.deep.mod", str(folder / "mod.py"))
    assert locate("fakeup_ns.deep.absent") is None
    assert "fakeup_ns" not in sys.modules
