"""Importing a target: found where it lies, patched, and otherwise as without macfix."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import inspect
import linecache
import runpy
import subprocess
import sys
import threading
import traceback
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from macfix import Changes, MacfixWarning, State, needed, not_needed, unknown
from macfix.engine.config import Config
from macfix.engine.errors import PatchFailedError
from tests.support.engine import (
    MOD,
    ROOT,
    FakeUpstream,
    always,
    make_patch,
    make_plugin,
    replace_constant,
    states,
)


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[FakeUpstream]:
    made = FakeUpstream(tmp_path)
    yield made
    made.close()


def test_an_install_changes_the_module_after_it_executed(upstream: FakeUpstream) -> None:
    upstream.write(MOD, "answer = 1\nseen = answer")
    engine = upstream.patch(make_patch())
    module = upstream.load()
    assert (module.answer, module.seen) == (42, 1)
    assert states(engine) == {f"fake-some@{MOD}": "applied"}


def test_a_rewrite_changes_the_module_before_it_executes(upstream: FakeUpstream) -> None:
    upstream.write(MOD, "answer = 1\nseen = answer")
    engine = upstream.patch(make_patch(rewrite=replace_constant(1, 2)))
    module = upstream.load()
    assert (module.answer, module.seen) == (2, 2)
    assert states(engine) == {f"fake-some@{MOD}": "applied"}


def test_a_module_that_could_not_execute_is_imported_once_it_is_rewritten(
    upstream: FakeUpstream,
) -> None:
    upstream.write(MOD, "import os\nanswer = os.environ['SURELY_NOT_SET']")
    with pytest.raises(KeyError):
        upstream.load()
    upstream.patch(make_patch(rewrite=replace_constant("SURELY_NOT_SET", "HOME")))
    assert upstream.load().answer


def test_two_rewrites_of_one_module_both_count(upstream: FakeUpstream) -> None:
    upstream.write(MOD, "answer = 1\nother = 'x'")
    first, second = replace_constant(1, 2), replace_constant("x", "y")
    upstream.patch(make_patch("a", rewrite=first), make_patch("b", rewrite=second))
    assert (upstream.load().answer, upstream.load().other) == (2, "y")


def test_only_targets_are_touched(upstream: FakeUpstream) -> None:
    upstream.write(MOD, "answer = 1")
    upstream.write(f"{ROOT}.other", "answer = 1")
    upstream.patch(make_patch())
    assert upstream.load(f"{ROOT}.other").answer == 1
    assert upstream.load().answer == 42


def test_a_patched_module_keeps_its_own_loader_spec_and_source(upstream: FakeUpstream) -> None:
    file = upstream.write(MOD, "answer = 1\n\ndef f():\n    return 1\n")
    upstream.patch(make_patch(rewrite=replace_constant(1, 2)))
    module = upstream.load()
    assert type(module.__loader__) is type(sys.modules[ROOT].__loader__)
    assert module.__spec__.loader is module.__loader__
    assert module.__file__ == str(file)
    assert inspect.getsource(module.f) == "def f():\n    return 1\n"
    assert module.f.__code__.co_filename == str(file)
    assert module.f.__code__.co_firstlineno == 3
    assert module.f() == 2


def test_a_spec_that_a_hook_before_macfix_made_has_the_real_loader_while_the_module_executes(
    upstream: FakeUpstream,
) -> None:
    class Copying:
        @staticmethod
        def find_spec(name: str, path: Any = None, target: object = None) -> Any:
            if name != MOD:
                return None
            found = upstream.finders[-1].find_spec(name, path)
            assert found is not None
            return importlib.util.spec_from_file_location(name, found.origin, loader=found.loader)

    upstream.write(MOD, "answer = 1\nseen = __spec__.loader, __loader__")
    upstream.patch(make_patch())
    sys.meta_path.insert(0, Copying)  # type: ignore[arg-type]
    module = upstream.load()
    assert module.answer == 42
    assert {type(one) for one in module.seen} == {type(sys.modules[ROOT].__loader__)}


TRACED = """\
import os

answer = (
    1
)


def f(x):
    if x:
        return answer

    return 1
"""


def test_coverage_and_pdb_see_upstreams_own_lines(upstream: FakeUpstream) -> None:
    """The code that is executed is not the file's, but its line numbers are."""
    import io
    import pdb
    import trace

    def executed() -> tuple[set[int], str]:
        counting = trace.Trace(count=1, trace=0)
        module = counting.runfunc(upstream.load)
        counting.runfunc(module.f, True)
        counting.runfunc(module.f, False)
        lines = {line for name, line in counting.results().counts if name == str(file)}
        shown = io.StringIO()
        debugger = pdb.Pdb(stdin=io.StringIO("step\nlist\ncontinue\n"), stdout=shown, nosigint=True)
        debugger.use_rawinput = False
        debugger.runcall(module.f, True)
        return lines, shown.getvalue()

    file = upstream.write(MOD, TRACED)
    lines, shown = executed()
    del sys.modules[MOD]
    upstream.patch(make_patch(rewrite=replace_constant(1, 2)))
    assert executed() == (lines, shown)
    assert upstream.load().f(False) == 2
    assert {1, 8, 9, 10, 12} <= lines
    assert "->\t    return 1" not in shown and "return answer" in shown


def test_upstreams_bytecode_cache_holds_upstreams_code_only(
    upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    file = upstream.write(MOD, "answer = 1\n")
    upstream.patch(make_patch(rewrite=replace_constant(1, 2)))
    assert upstream.load().answer == 2
    cached = Path(importlib.util.cache_from_source(str(file)))
    assert not cached.exists()
    upstream.close()
    sys.path.insert(0, str(upstream.folder))
    try:
        assert upstream.load().answer == 1
        assert cached.exists()
    finally:
        upstream.close()


@pytest.mark.parametrize("rewrite", [True, False], ids=["rewritten", "as it is"])
def test_a_traceback_of_a_failing_import_shows_no_frame_of_macfix(
    upstream: FakeUpstream, rewrite: bool
) -> None:
    upstream.write(MOD, "answer = 1\n\n\nraise RuntimeError('upstream says no')\n")
    fields: dict[str, Any] = {"rewrite": replace_constant(1, 2)} if rewrite else {}
    upstream.patch(make_patch(**fields))
    with pytest.raises(RuntimeError) as caught:
        exec("import fakeup.mod", {})
    frames = list(traceback.extract_tb(caught.value.__traceback__))[1:]
    assert [Path(f.filename).name for f in frames] == ["<string>", "mod.py"]
    assert frames[-1].lineno == 4
    assert linecache.getline(frames[-1].filename, 4) == "raise RuntimeError('upstream says no')\n"


def test_a_failed_import_leaves_no_module_and_can_be_repeated(
    upstream: FakeUpstream,
) -> None:
    upstream.write(MOD, "raise RuntimeError")
    engine = upstream.patch(make_patch())
    with pytest.raises(RuntimeError):
        upstream.load()
    assert MOD not in sys.modules
    upstream.write(MOD, "answer = 1  # longer, so that the stale bytecode is not taken")
    assert upstream.load().answer == 42
    assert states(engine)[f"fake-some@{MOD}"] == "applied"


def test_a_missing_target_is_missing_as_without_macfix(upstream: FakeUpstream) -> None:
    upstream.patch(make_patch())
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'fakeup\.mod'"):
        upstream.load()


def test_a_zipped_upstream_is_patched(upstream: FakeUpstream, tmp_path: Path) -> None:
    archive = tmp_path / "upstream.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("fakeup/__init__.py", "")
        file.writestr("fakeup/mod.py", "answer = 1\nseen = answer")
    sys.path[0] = str(archive)
    upstream.patch(make_patch("a"), make_patch("b", rewrite=replace_constant(1, 2)))
    module = upstream.load()
    assert (module.answer, module.seen) == (42, 2)
    assert "upstream.zip" in module.__file__


def test_a_target_in_a_namespace_package_is_patched(upstream: FakeUpstream, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    (other / "fakeup_ns" / "deep").mkdir(parents=True)
    (other / "fakeup_ns" / "deep" / "mod.py").write_text("answer = 1")
    sys.path.insert(0, str(other))
    plugin = make_plugin(by_target={"fakeup_ns.deep.mod": [make_patch()]})
    upstream.patch(plugins={"fake": plugin})
    try:
        assert upstream.load("fakeup_ns.deep.mod").answer == 42
    finally:
        for name in [n for n in sys.modules if n.startswith("fakeup_ns")]:
            del sys.modules[name]


def test_a_target_that_is_a_namespace_package_is_left_alone(upstream: FakeUpstream) -> None:
    (upstream.folder / ROOT / "mod").mkdir()
    upstream.patch(make_patch())
    assert list(upstream.load().__path__) == [str(upstream.folder / ROOT / "mod")]


def test_an_editable_installs_finder_behind_is_asked(
    upstream: FakeUpstream, tmp_path: Path
) -> None:
    hidden = tmp_path / "src" / "mod_elsewhere.py"
    hidden.parent.mkdir()
    hidden.write_text("answer = 1")

    class Editable:
        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> Any:
            if name == MOD:
                return importlib.util.spec_from_file_location(name, hidden)
            return None

    sys.meta_path.insert(0, Editable)  # type: ignore[arg-type]
    upstream.patch(make_patch())
    assert upstream.load().__file__ == str(hidden)
    assert upstream.load().answer == 42


@pytest.mark.parametrize("order", ["macfix first", "wrapt first"])
def test_a_hook_that_asks_the_whole_import_system_is_patched_once(
    upstream: FakeUpstream, order: str
) -> None:
    """As wrapt's import hooks do, before and behind macfix's finder."""
    import wrapt
    from wrapt.importer import ImportHookFinder

    calls: list[str] = []
    seen: list[object] = []
    upstream.write(MOD, "answer = 1")
    engine = upstream.patch(
        make_patch(install=lambda module, changes: calls.append(module.__name__) or None)
    )
    wrapt.register_post_import_hook(lambda module: seen.append(module), MOD)
    sys.meta_path[:] = [f for f in sys.meta_path if not isinstance(f, ImportHookFinder)]
    sys.meta_path.insert(1 if order == "macfix first" else 0, ImportHookFinder())
    module = upstream.load()
    assert calls == [MOD]
    assert seen == [module]
    assert states(engine)[f"fake-some@{MOD}"] == "applied"


def test_pytests_assertion_rewriting_still_works_on_a_target(tmp_path: Path) -> None:
    folder = tmp_path / ROOT
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "mod.py").write_text("answer = 1\n\ndef check(x):\n    assert x == answer\n")
    (tmp_path / "conftest.py").write_text(
        "import sys\n"
        "import pytest\n"
        "pytest.register_assert_rewrite('fakeup.mod')\n"
        "from macfix.engine.config import Config\n"
        "from macfix.engine.engine import Engine\n"
        "from macfix.engine.finder import Finder\n"
        "from tests.support.engine import make_patch, make_plugin, replace_constant\n"
        "plugin = make_plugin(make_patch('a', rewrite=replace_constant(1, 2)),"
        " make_patch('b', install=lambda m, c: c.set(m, 'installed', True)))\n"
        "engine = Engine(Config(), {'fake': plugin})\n"
        "sys.meta_path.insert(0, Finder(['fakeup'], lambda: engine))\n"
    )
    (tmp_path / "test_it.py").write_text(
        "from fakeup import mod\n\ndef test_it():\n"
        "    assert mod.answer == 2 and mod.installed\n    mod.check(3)\n"
    )
    repository = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PATH": "", "PYTHONPATH": f"{repository}:{tmp_path}", "HOME": str(tmp_path)},
    )
    assert "assert 3 == 2" in done.stdout, done.stdout + done.stderr


def test_reloading_patches_again_and_does_not_wrap_twice(upstream: FakeUpstream) -> None:
    upstream.write(MOD, "def f():\n    return 1\n")
    engine = upstream.patch(
        make_patch(
            install=lambda module, changes: changes.wrap(
                module, "f", lambda wrapped, instance, args, kwargs: wrapped() + 10
            )
        )
    )
    module = upstream.load()
    assert module.f() == 11
    assert importlib.reload(module).f() == 11
    assert engine.revert() == []
    assert module.f() == 1


def test_a_reload_that_fails_is_not_said_to_be_patched(upstream: FakeUpstream) -> None:
    file = upstream.write(MOD, "answer = 1\n")
    engine = upstream.patch(make_patch())
    module = upstream.load()
    file.write_text("1 / 0  # and not the same size\n")
    with pytest.raises(ZeroDivisionError):
        importlib.reload(module)
    entry = engine.ledger.entries.get(("fake-some", MOD))
    assert entry is not None
    assert (module.answer, entry.state) == (1, State.FAILED)
    assert "reload, which raised ZeroDivisionError" in entry.reason
    file.write_text("answer = 2\n")
    assert importlib.reload(module).answer == 42
    assert str(engine.ledger.entries.get(("fake-some", MOD)).state) == "applied"  # type: ignore[union-attr]


def test_threads_that_import_at_once_get_one_patched_module(upstream: FakeUpstream) -> None:
    upstream.write(MOD, "import time\ntime.sleep(0.05)\nanswer = 1")
    installs: list[int] = []

    def install(module: Any, changes: Any) -> None:
        installs.append(1)
        changes.set(module, "answer", 42)

    upstream.patch(make_patch(install=install))
    barrier = threading.Barrier(8)
    got: list[object] = []

    def work() -> None:
        barrier.wait()
        got.append(upstream.load())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(installs) == 1
    assert {id(module) for module in got} == {id(sys.modules[MOD])}
    assert sys.modules[MOD].answer == 42


def test_a_module_that_replaces_itself_is_patched_in_its_new_shape(upstream: FakeUpstream) -> None:
    upstream.write(
        MOD,
        "import sys, types\nnew = types.ModuleType(__name__)\nnew.answer = 1\n"
        "sys.modules[__name__] = new",
    )
    upstream.patch(make_patch())
    assert upstream.load().answer == 42


def test_a_target_run_with_dash_m_is_not_patched(upstream: FakeUpstream) -> None:
    """Nothing could be installed into it, and half a patch is worse than none."""
    upstream.write(MOD, "answer = 1\nprint(answer)")
    engine = upstream.patch(make_patch(rewrite=replace_constant(1, 2)))
    answers = runpy.run_module(MOD, run_name="__main__")
    assert (answers["answer"], states(engine)) == (1, {f"fake-some@{MOD}": "pending"})


def test_a_spec_that_was_found_before_an_import_makes_a_module_of_its_own(
    upstream: FakeUpstream,
) -> None:
    upstream.write(MOD, "answer = 1")
    upstream.patch(make_patch())
    upstream.load(ROOT)
    spec = importlib.util.find_spec(MOD)
    assert spec is not None and spec.loader is not None
    imported = upstream.load()
    module = importlib.util.module_from_spec(spec)
    assert module is not imported
    spec.loader.exec_module(module)
    assert (module.answer, imported.answer) == (1, 42)  # only the one that others see is patched


def test_what_is_imported_while_the_engine_starts_is_entered_once(upstream: FakeUpstream) -> None:
    """Another thread may import a target, patched, before what was imported earlier is entered."""
    upstream.write(MOD, "answer = 1")
    engine = upstream.patch(make_patch())
    module = upstream.load()
    engine.start()
    assert (module.answer, states(engine)) == (42, {f"fake-some@{MOD}": "applied"})


def test_what_was_imported_with_a_spec_of_another_kind_is_late_too(upstream: FakeUpstream) -> None:
    upstream.write(MOD, "answer = 1")
    module = upstream.load()
    module.__spec__ = SimpleNamespace(name=MOD)
    with pytest.warns(MacfixWarning, match="left as imported"):
        engine = upstream.patch(make_patch())
    assert (module.answer, states(engine)) == (1, {f"fake-some@{MOD}": "target already imported"})


def test_an_import_that_is_under_way_ends_unpatched_if_macfix_is_taken_out(
    upstream: FakeUpstream,
) -> None:
    upstream.write(MOD, "answer = 1\nfrom fake_macfix_elsewhere import done")
    engine = upstream.patch(make_patch())
    elsewhere = ModuleType("fake_macfix_elsewhere")
    # what another thread does meanwhile
    elsewhere.__getattr__ = lambda name: engine.revert()  # type: ignore[method-assign]
    with mock.patch.dict(sys.modules, fake_macfix_elsewhere=elsewhere):
        assert upstream.load().answer == 1
    assert engine.revert() == []


def test_what_is_imported_while_macfix_is_taken_out_is_left_alone(upstream: FakeUpstream) -> None:
    upstream.write(MOD, "answer = 1")
    upstream.write(f"{ROOT}.other", "answer = 1")
    seen: list[object] = []

    def install(module: ModuleType, changes: Changes) -> None:
        # what another thread does meanwhile
        changes.on_revert(lambda: seen.append(upstream.load(f"{ROOT}.other").answer))

    patches = {MOD: [make_patch("a", install=install)], f"{ROOT}.other": [make_patch("b")]}
    engine = upstream.patch(plugins={"p": make_plugin(by_target=patches)})
    upstream.load()
    assert (engine.revert(), seen) == ([], [1])


# -- verdicts and failures -----------------------------------------------------------------------


def test_a_patch_that_is_not_needed_leaves_the_module_alone(upstream: FakeUpstream) -> None:
    upstream.write(MOD, "answer = 1")
    engine = upstream.patch(make_patch(diagnose=always(not_needed("upstream cured it"))))
    assert upstream.load().answer == 1
    entry = engine.ledger.entries.get(("fake-some", MOD))
    assert entry is not None
    assert (entry.state, entry.reason) == (State.NOT_NEEDED, "upstream cured it")


def test_an_unknown_upstream_is_left_alone_with_one_warning(upstream: FakeUpstream) -> None:
    upstream.write(MOD, "answer = 1")
    engine = upstream.patch(make_patch(diagnose=always(unknown("neither nor"))))
    with pytest.warns(MacfixWarning, match="neither nor") as warned:
        assert upstream.load().answer == 1
    assert len(warned) == 1
    assert states(engine) == {f"fake-some@{MOD}": "unknown upstream"}


@pytest.mark.parametrize("act", ["diagnose", "rewrite", "install"])
def test_a_patch_that_raises_costs_only_itself(upstream: FakeUpstream, act: str) -> None:
    def explode(*arguments: object) -> Any:
        raise ZeroDivisionError("the patch is wrong")

    upstream.write(MOD, "answer = 1\nother = 'x'")
    good = make_patch("good", install=lambda m, c: c.set(m, "other", "patched"))
    engine = upstream.patch(make_patch("bad", **{act: explode}), good)
    with pytest.warns(MacfixWarning, match=r"bad failed.*the patch is wrong"):
        module = upstream.load()
    assert (module.answer, module.other) == (1, "patched")
    entry = engine.ledger.entries.get(("fake-bad", MOD))
    assert entry is not None
    assert entry.state is State.FAILED
    assert "explode" in (entry.traceback or "")
    assert states(engine)[f"fake-good@{MOD}"] == "applied"


@pytest.mark.parametrize("act", ["diagnose", "rewrite", "install"])
@pytest.mark.parametrize("error", [SystemExit(3), BaseException("base")], ids=repr)
def test_a_patch_that_wants_to_end_the_program_costs_only_itself(
    upstream: FakeUpstream, act: str, error: BaseException
) -> None:
    upstream.write(MOD, "answer = 1")

    def broken(*_: object) -> Any:
        raise error

    engine = upstream.patch(make_patch("broken", **{act: broken}), make_patch("sound"))
    with pytest.warns(MacfixWarning, match=f"{type(error).__name__}: {error}"):
        assert upstream.load().answer == 42
    assert engine.ledger.entries.get(("fake-broken", MOD)).state is State.FAILED  # type: ignore[union-attr]


def test_an_undoing_that_wants_to_end_the_program_stops_no_other(upstream: FakeUpstream) -> None:
    upstream.write(MOD, "answer = 1")

    def undo() -> None:
        raise SystemExit(3)

    def install(module: Any, changes: Any) -> None:
        changes.set(module, "answer", 42)
        changes.on_revert(undo)

    engine = upstream.patch(make_patch(install=install))
    module = upstream.load()
    (left,) = engine.revert()
    assert "undoing a change raised SystemExit: 3" in left
    assert module.answer == 1


@pytest.mark.parametrize("act", ["diagnose", "rewrite", "install"])
def test_an_interrupt_inside_a_patch_is_the_users(upstream: FakeUpstream, act: str) -> None:
    upstream.write(MOD, "answer = 1")

    def interrupted(*_: object) -> Any:
        raise KeyboardInterrupt

    upstream.patch(make_patch(**{act: interrupted}))
    with pytest.raises(KeyboardInterrupt):
        upstream.load()


def test_an_error_without_a_text_costs_no_more_than_another_one(upstream: FakeUpstream) -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text today")

    def broken(source: object) -> Any:
        raise MuteError

    upstream.write(MOD, "answer = 1")
    upstream.patch(make_patch("broken", diagnose=broken), make_patch("sound"))
    with pytest.warns(MacfixWarning, match="MuteError: <no text>"):
        assert upstream.load().answer == 42


def test_a_failing_patch_is_told_with_the_command_that_shows_the_traceback(
    upstream: FakeUpstream,
) -> None:
    upstream.write(MOD, "answer = 1")
    upstream.patch(make_patch(install=lambda module, changes: 1 / 0))
    with pytest.warns(MacfixWarning, match=r"`macfix status -v` shows the traceback"):
        assert upstream.load().answer == 1


def test_a_loader_can_be_copied(upstream: FakeUpstream) -> None:
    upstream.write(MOD, "answer = 1")
    upstream.patch(make_patch())
    spec = importlib.util.find_spec(MOD)
    assert spec is not None
    assert copy.copy(spec.loader).get_filename(MOD) == spec.origin  # type: ignore[union-attr]


@pytest.mark.parametrize("act", ["diagnose", "rewrite", "install"])
def test_strict_makes_a_failing_patch_an_error_of_the_import(
    upstream: FakeUpstream, act: str
) -> None:
    def explode(*arguments: object) -> Any:
        raise ZeroDivisionError("the patch is wrong")

    upstream.write(MOD, "answer = 1")
    upstream.patch(make_patch(**{act: explode}), config=Config(strict=True))
    with pytest.raises(PatchFailedError, match="the patch is wrong"):
        upstream.load()


def test_an_install_that_fails_half_way_leaves_nothing_behind(upstream: FakeUpstream) -> None:
    def install(module: Any, changes: Any) -> None:
        changes.set(module, "answer", 2)
        changes.wrap(module, "f", lambda wrapped, instance, args, kwargs: "wrapped")
        changes.wrap(module, "absent", lambda *a: None)

    upstream.write(MOD, "answer = 1\ndef f():\n    return 'plain'")
    upstream.patch(make_patch(install=install))
    with pytest.warns(MacfixWarning, match="absent"):
        module = upstream.load()
    assert (module.answer, module.f()) == (1, "plain")


def test_a_rewrite_that_gives_no_valid_module_is_left_out_whole(upstream: FakeUpstream) -> None:
    import ast

    def spoil(tree: ast.Module) -> ast.Module:
        tree.body.append(ast.Return(value=None))
        return tree

    upstream.write(MOD, "answer = 1\nseen = answer")
    engine = upstream.patch(
        make_patch("bad", rewrite=spoil), make_patch("good", rewrite=replace_constant(1, 2))
    )
    with pytest.warns(MacfixWarning, match="bad failed"):
        assert upstream.load().seen == 2
    assert states(engine) == {f"fake-bad@{MOD}": "failed", f"fake-good@{MOD}": "applied"}


def test_source_that_does_not_parse_fails_as_without_macfix(upstream: FakeUpstream) -> None:
    upstream.write(MOD, "def :\n")
    engine = upstream.patch(make_patch())
    with pytest.raises(SyntaxError) as caught, pytest.warns(MacfixWarning, match="not parse"):
        upstream.load()
    assert caught.value.filename == str(upstream.folder / ROOT / "mod.py")
    assert states(engine) == {f"fake-some@{MOD}": "unknown upstream"}


def test_source_that_nobody_parsed_and_that_does_not_parse(upstream: FakeUpstream) -> None:
    upstream.write(MOD, "answer = 1\n" + "\n\ndef :\n")
    unseen = make_patch("unseen", diagnose=lambda source: not_needed("not asked"))
    engine = upstream.patch(make_patch(), unseen)
    with pytest.raises(SyntaxError), pytest.warns(MacfixWarning, match="not parse"):
        upstream.load()
    assert states(engine) == {
        f"fake-some@{MOD}": "unknown upstream",
        f"fake-unseen@{MOD}": "unknown upstream",
    }


def test_a_syntax_error_that_is_another_files_is_not_the_targets(upstream: FakeUpstream) -> None:
    upstream.write(MOD, "compile('def :', 'elsewhere.py', 'exec')\n")
    engine = upstream.patch(make_patch())
    with pytest.raises(SyntaxError):
        upstream.load()
    assert states(engine) == {f"fake-some@{MOD}": "pending"}


def test_a_module_without_source_is_left_alone(upstream: FakeUpstream) -> None:
    import py_compile

    file = upstream.write(MOD, "answer = 1")
    py_compile.compile(str(file), cfile=str(file.with_suffix(".pyc")))
    file.unlink()
    engine = upstream.patch(make_patch())
    with pytest.warns(MacfixWarning, match="cannot be read"):
        assert upstream.load().answer == 1
    assert states(engine) == {f"fake-some@{MOD}": "unknown upstream"}


def test_warnings_that_are_errors_do_not_stop_an_import(
    upstream: FakeUpstream, capsys: pytest.CaptureFixture[str]
) -> None:
    import warnings

    upstream.write(MOD, "answer = 1")
    upstream.patch(make_patch(diagnose=always(unknown("neither nor"))))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert upstream.load().answer == 1
    assert "neither nor" in capsys.readouterr().err


# -- what the user chooses -----------------------------------------------------------------------


def test_skip_and_only_choose_patches_by_name(upstream: FakeUpstream) -> None:
    upstream.write(MOD, "a = b = c = 1")
    patches = [make_patch(n, install=lambda m, ch, n=n: ch.set(m, n, 2)) for n in ("a", "b", "c")]
    config = Config.from_environ({"MACFIX_SKIP": "fake-a", "MACFIX_ONLY": "fake-a,fake-b"})
    with pytest.warns(MacfixWarning, match="both name fake-a"):
        engine = upstream.patch(*patches, config=config)
    module = upstream.load()
    assert (module.a, module.b, module.c) == (1, 2, 1)
    assert states(engine) == {
        f"fake-a@{MOD}": "skipped by the user",
        f"fake-b@{MOD}": "applied",
        f"fake-c@{MOD}": "skipped by the user",
    }


def test_a_wrong_name_is_one_warning_with_the_nearest_right_one(upstream: FakeUpstream) -> None:
    wrong = Config(skip=frozenset({"fake-sme"}))
    said = "MACFIX_SKIP: there is no patch 'fake-sme'; did you mean fake-some?"
    with pytest.warns(MacfixWarning) as warned:
        engine = upstream.patch(make_patch(), config=wrong)
    assert [str(w.message) for w in warned] == [f"settings: {said}"]
    assert [problem.message for problem in engine.plugins.problems] == [said]
    strict = Config(skip=frozenset({"fake-sme"}), strict=True)
    with pytest.raises(PatchFailedError, match="did you mean fake-some"):
        upstream.patch(make_patch(), config=strict)


def test_a_patch_for_another_platform_is_left_out_unless_forced(upstream: FakeUpstream) -> None:
    elsewhere = make_patch(PLATFORMS=frozenset({"beos"}))
    upstream.write(MOD, "answer = 1")
    engine = upstream.patch(elsewhere)
    assert upstream.load().answer == 1
    assert states(engine) == {f"fake-some@{MOD}": "not needed"}
    upstream.forget()
    upstream.patch(elsewhere, config=Config(force=frozenset({"fake-some"})))
    assert upstream.load().answer == 42


def test_several_patches_of_one_target_are_applied_in_the_order_of_the_plugins(
    upstream: FakeUpstream,
) -> None:
    upstream.write(MOD, "answer = 1")

    def add(text: str) -> Any:
        return lambda module, changes: changes.set(module, "answer", f"{module.answer}, {text}")

    one = make_plugin(make_patch("b", install=add("one b")), make_patch("a", install=add("one a")))
    two = make_plugin(make_patch("a", install=add("two a")))
    upstream.patch(plugins={"one": one, "two": two})
    assert upstream.load().answer == "1, one b, one a, two a"


def test_a_patch_is_given_the_source_and_where_it_lies(upstream: FakeUpstream) -> None:
    seen: list[Any] = []
    file = upstream.write(MOD, "# -*- coding: latin-1 -*-\nanswer = 'x'")
    file.write_bytes(b"# -*- coding: latin-1 -*-\nanswer = '\xe9'")

    def look(source: Any) -> Any:
        seen.append((source.module, source.path, source.text, len(source.tree.body)))
        return needed("seen")

    upstream.patch(make_patch(diagnose=look, rewrite=replace_constant(None, None)))
    assert upstream.load().answer == "é"
    assert seen == [(MOD, str(file), "# -*- coding: latin-1 -*-\nanswer = 'é'", 1)]
