"""Importing a target: found where it lies, mended, and otherwise as without macfix."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import linecache
import subprocess
import sys
import threading
import traceback
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from macfix import MacfixWarning, State, needed, not_needed, unknown
from macfix.engine import Config, PatchFailedError
from tests.support.engine import ROOT, World, always, make_patch, replace_constant, set_answer

MOD = f"{ROOT}.mod"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def states(engine: Any) -> dict[str, str]:
    return {f"{e.patch}@{e.target}": str(e.state) for e in engine.ledger.entries()}


def test_an_install_changes_the_module_after_it_executed(world: World) -> None:
    world.write(MOD, "answer = 1\nseen = answer")
    engine = world.mend(make_patch())
    module = world.load()
    assert (module.answer, module.seen) == (42, 1)
    assert states(engine) == {f"some-patch@{MOD}": "applied"}


def test_a_rewrite_changes_the_module_before_it_executes(world: World) -> None:
    world.write(MOD, "answer = 1\nseen = answer")
    engine = world.mend(make_patch(rewrite=replace_constant(1, 2)))
    module = world.load()
    assert (module.answer, module.seen) == (2, 2)
    assert states(engine) == {f"some-patch@{MOD}": "applied"}


def test_a_module_that_could_not_execute_is_imported_once_it_is_rewritten(world: World) -> None:
    world.write(MOD, "import os\nanswer = os.environ['SURELY_NOT_SET']")
    with pytest.raises(KeyError):
        world.load()
    world.mend(make_patch(rewrite=replace_constant("SURELY_NOT_SET", "HOME")))
    assert world.load().answer


def test_only_targets_are_touched(world: World) -> None:
    world.write(MOD, "answer = 1")
    world.write(f"{ROOT}.other", "answer = 1")
    world.mend(make_patch())
    assert world.load(f"{ROOT}.other").answer == 1
    assert world.load().answer == 42


def test_a_mended_module_keeps_its_own_loader_spec_and_source(world: World) -> None:
    file = world.write(MOD, "answer = 1\n\ndef f():\n    return 1\n")
    world.mend(make_patch(rewrite=replace_constant(1, 2)))
    module = world.load()
    assert type(module.__loader__) is type(sys.modules[ROOT].__loader__)
    assert module.__spec__.loader is module.__loader__
    assert module.__file__ == str(file)
    assert inspect.getsource(module.f) == "def f():\n    return 1\n"
    assert module.f.__code__.co_filename == str(file)
    assert module.f.__code__.co_firstlineno == 3
    assert module.f() == 2


def test_upstreams_bytecode_cache_holds_upstreams_code_only(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    file = world.write(MOD, "answer = 1\n")
    world.mend(make_patch(rewrite=replace_constant(1, 2)))
    assert world.load().answer == 2
    cached = Path(importlib.util.cache_from_source(str(file)))
    assert not cached.exists()
    world.close()
    sys.path.insert(0, str(world.folder))
    try:
        assert world.load().answer == 1
        assert cached.exists()
    finally:
        world.close()


@pytest.mark.parametrize("rewrite", [True, False], ids=["rewritten", "as it is"])
def test_a_traceback_of_a_failing_import_shows_no_frame_of_macfix(
    world: World, rewrite: bool
) -> None:
    world.write(MOD, "answer = 1\n\n\nraise RuntimeError('upstream says no')\n")
    fields: dict[str, Any] = {"rewrite": replace_constant(1, 2)} if rewrite else {}
    world.mend(make_patch(**fields))
    with pytest.raises(RuntimeError) as caught:
        exec("import fakeup.mod", {})
    frames = list(traceback.extract_tb(caught.value.__traceback__))[1:]
    assert [Path(f.filename).name for f in frames] == ["<string>", "mod.py"]
    assert frames[-1].lineno == 4
    assert linecache.getline(frames[-1].filename, 4) == "raise RuntimeError('upstream says no')\n"


def test_a_failed_import_leaves_no_module_behind_and_can_be_repeated(world: World) -> None:
    world.write(MOD, "raise RuntimeError")
    engine = world.mend(make_patch())
    with pytest.raises(RuntimeError):
        world.load()
    assert MOD not in sys.modules
    world.write(MOD, "answer = 1  # longer, so that the stale bytecode is not taken")
    assert world.load().answer == 42
    assert states(engine)[f"some-patch@{MOD}"] == "applied"


def test_a_missing_target_is_missing_as_without_macfix(world: World) -> None:
    world.mend(make_patch())
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'fakeup\.mod'"):
        world.load()


def test_a_zipped_upstream_is_mended(world: World, tmp_path: Path) -> None:
    archive = tmp_path / "upstream.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("fakeup/__init__.py", "")
        file.writestr("fakeup/mod.py", "answer = 1\nseen = answer")
    sys.path[0] = str(archive)
    world.mend(make_patch("a"), make_patch("b", rewrite=replace_constant(1, 2)))
    module = world.load()
    assert (module.answer, module.seen) == (42, 2)
    assert "upstream.zip" in module.__file__


def test_a_target_in_a_namespace_package_is_mended(world: World, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    (other / "fakeup_ns" / "deep").mkdir(parents=True)
    (other / "fakeup_ns" / "deep" / "mod.py").write_text("answer = 1")
    sys.path.insert(0, str(other))
    world.mend(make_patch(target="fakeup_ns.deep.mod"))
    try:
        assert world.load("fakeup_ns.deep.mod").answer == 42
    finally:
        for name in [n for n in sys.modules if n.startswith("fakeup_ns")]:
            del sys.modules[name]


def test_a_target_that_is_a_namespace_package_is_left_alone(world: World) -> None:
    (world.folder / ROOT / "mod").mkdir()
    world.mend(make_patch())
    assert list(world.load().__path__) == [str(world.folder / ROOT / "mod")]


def test_an_editable_installs_finder_behind_is_asked(world: World, tmp_path: Path) -> None:
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
    world.mend(make_patch())
    assert world.load().__file__ == str(hidden)
    assert world.load().answer == 42


@pytest.mark.parametrize("order", ["macfix first", "wrapt first"])
def test_a_hook_that_asks_the_whole_import_system_is_mended_once(world: World, order: str) -> None:
    """As wrapt's import hooks do, before and behind macfix's finder."""
    import wrapt
    from wrapt.importer import ImportHookFinder

    calls: list[str] = []
    seen: list[object] = []
    world.write(MOD, "answer = 1")
    engine = world.mend(
        make_patch(install=lambda module, changes: calls.append(module.__name__) or None)
    )
    wrapt.register_post_import_hook(lambda module: seen.append(module), MOD)
    sys.meta_path[:] = [f for f in sys.meta_path if not isinstance(f, ImportHookFinder)]
    sys.meta_path.insert(1 if order == "macfix first" else 0, ImportHookFinder())
    module = world.load()
    assert calls == [MOD]
    assert seen == [module]
    assert states(engine)[f"some-patch@{MOD}"] == "applied"


def test_pytests_assertion_rewriting_still_works_on_a_target(tmp_path: Path) -> None:
    folder = tmp_path / ROOT
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "mod.py").write_text("answer = 1\n\ndef check(x):\n    assert x == answer\n")
    (tmp_path / "conftest.py").write_text(
        "import sys\n"
        "import pytest\n"
        "pytest.register_assert_rewrite('fakeup.mod')\n"
        "from macfix.engine import Config, Engine\n"
        "from macfix.engine._finder import Finder\n"
        "from tests.support.engine import make_patch, make_plugin, replace_constant\n"
        "plugin = make_plugin([make_patch('a', rewrite=replace_constant(1, 2)),"
        " make_patch('b', install=lambda m, c: c.set(m, 'installed', True))])\n"
        "sys.meta_path.insert(0, Finder(['fakeup'], lambda: Engine(Config(), [plugin])))\n"
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


def test_reloading_mends_again_and_does_not_wrap_twice(world: World) -> None:
    world.write(MOD, "def f():\n    return 1\n")
    engine = world.mend(
        make_patch(
            install=lambda module, changes: changes.wrap(
                module, "f", lambda wrapped, instance, args, kwargs: wrapped() + 10
            )
        )
    )
    module = world.load()
    assert module.f() == 11
    assert importlib.reload(module).f() == 11
    assert engine.revert() == []
    assert module.f() == 1


def test_a_reload_that_fails_is_not_said_to_be_mended(world: World) -> None:
    file = world.write(MOD, "answer = 1\n")
    engine = world.mend(make_patch())
    module = world.load()
    file.write_text("1 / 0  # and not the same size\n")
    with pytest.raises(ZeroDivisionError):
        importlib.reload(module)
    entry = engine.ledger.get("some-patch", MOD)
    assert entry is not None
    assert (module.answer, entry.state) == (1, State.FAILED)
    assert "reload, which raised ZeroDivisionError" in entry.reason
    file.write_text("answer = 2\n")
    assert importlib.reload(module).answer == 42
    assert str(engine.ledger.get("some-patch", MOD).state) == "applied"  # type: ignore[union-attr]


def test_threads_that_import_at_once_get_one_mended_module(world: World) -> None:
    world.write(MOD, "import time\ntime.sleep(0.05)\nanswer = 1")
    installs: list[int] = []

    def install(module: Any, changes: Any) -> None:
        installs.append(1)
        changes.set(module, "answer", 42)

    world.mend(make_patch(install=install))
    barrier = threading.Barrier(8)
    got: list[object] = []

    def work() -> None:
        barrier.wait()
        got.append(world.load())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(installs) == 1
    assert {id(module) for module in got} == {id(sys.modules[MOD])}
    assert sys.modules[MOD].answer == 42


def test_a_module_that_replaces_itself_is_mended_in_its_new_shape(world: World) -> None:
    world.write(
        MOD,
        "import sys, types\nnew = types.ModuleType(__name__)\nnew.answer = 1\n"
        "sys.modules[__name__] = new",
    )
    world.mend(make_patch())
    assert world.load().answer == 42


def test_a_target_run_with_dash_m_is_rewritten(world: World) -> None:
    world.write(MOD, "answer = 1\nprint(answer)")
    world.mend(make_patch(rewrite=replace_constant(1, 2)))
    spec = importlib.util.find_spec(MOD)
    assert spec is not None
    code = spec.loader.get_code(MOD)  # type: ignore[union-attr]  # what runpy executes
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    assert namespace["answer"] == 2


# -- verdicts and failures -----------------------------------------------------------------------


def test_a_patch_that_is_not_needed_leaves_the_module_alone(world: World) -> None:
    world.write(MOD, "answer = 1")
    engine = world.mend(make_patch(needed=always(not_needed("upstream cured it"))))
    assert world.load().answer == 1
    entry = engine.ledger.get("some-patch", MOD)
    assert entry is not None
    assert (entry.state, entry.reason) == (State.NOT_NEEDED, "upstream cured it")


def test_an_unknown_upstream_is_left_alone_with_one_warning(world: World) -> None:
    world.write(MOD, "answer = 1")
    engine = world.mend(make_patch(needed=always(unknown("neither nor"))))
    with pytest.warns(MacfixWarning, match="neither nor") as warned:
        assert world.load().answer == 1
    assert len(warned) == 1
    assert states(engine) == {f"some-patch@{MOD}": "unknown upstream"}


@pytest.mark.parametrize("act", ["needed", "rewrite", "install"])
def test_a_patch_that_raises_costs_only_itself(world: World, act: str) -> None:
    def explode(*arguments: object) -> Any:
        raise ZeroDivisionError("the patch is wrong")

    world.write(MOD, "answer = 1\nother = 'x'")
    good = make_patch("good", install=lambda m, c: c.set(m, "other", "mended"))
    engine = world.mend(make_patch("bad", **{act: explode}), good)
    with pytest.warns(MacfixWarning, match=r"bad failed.*the patch is wrong"):
        module = world.load()
    assert (module.answer, module.other) == (1, "mended")
    entry = engine.ledger.get("bad", MOD)
    assert entry is not None
    assert entry.state is State.FAILED
    assert "explode" in (entry.traceback or "")
    assert states(engine)[f"good@{MOD}"] == "applied"


@pytest.mark.parametrize("act", ["needed", "rewrite", "install"])
@pytest.mark.parametrize("error", [SystemExit(3), BaseException("base")], ids=repr)
def test_a_patch_that_wants_to_end_the_program_costs_only_itself(
    world: World, act: str, error: BaseException
) -> None:
    world.write(MOD, "answer = 1")

    def broken(*_: object) -> Any:
        raise error

    engine = world.mend(make_patch("broken", **{act: broken}), make_patch("sound"))
    with pytest.warns(MacfixWarning, match=f"{type(error).__name__}: {error}"):
        assert world.load().answer == 42
    assert engine.ledger.get("broken", MOD).state is State.FAILED  # type: ignore[union-attr]


def test_an_undoing_that_wants_to_end_the_program_stops_no_other(world: World) -> None:
    world.write(MOD, "answer = 1")

    def undo() -> None:
        raise SystemExit(3)

    def install(module: Any, changes: Any) -> None:
        changes.set(module, "answer", 42)
        changes.on_revert(undo)

    engine = world.mend(make_patch(install=install))
    module = world.load()
    (left,) = engine.revert()
    assert "undoing a change raised SystemExit: 3" in left
    assert module.answer == 1


@pytest.mark.parametrize("act", ["needed", "rewrite", "install"])
def test_an_interrupt_inside_a_patch_is_the_users(world: World, act: str) -> None:
    world.write(MOD, "answer = 1")

    def interrupted(*_: object) -> Any:
        raise KeyboardInterrupt

    world.mend(make_patch(**{act: interrupted}))
    with pytest.raises(KeyboardInterrupt):
        world.load()


def test_an_error_without_a_text_costs_no_more_than_another_one(world: World) -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text today")

    def broken(source: object) -> Any:
        raise MuteError

    world.write(MOD, "answer = 1")
    world.mend(make_patch("broken", needed=broken), make_patch("sound"))
    with pytest.warns(MacfixWarning, match="MuteError: <its text cannot be had>"):
        assert world.load().answer == 42


@pytest.mark.parametrize("act", ["needed", "rewrite", "install"])
def test_strict_makes_a_failing_patch_an_error_of_the_import(world: World, act: str) -> None:
    def explode(*arguments: object) -> Any:
        raise ZeroDivisionError("the patch is wrong")

    world.write(MOD, "answer = 1")
    world.mend(make_patch(**{act: explode}), config=Config(strict=True))
    with pytest.raises(PatchFailedError, match="the patch is wrong"):
        world.load()


def test_an_install_that_fails_half_way_leaves_nothing_behind(world: World) -> None:
    def install(module: Any, changes: Any) -> None:
        changes.set(module, "answer", 2)
        changes.wrap(module, "f", lambda wrapped, instance, args, kwargs: "wrapped")
        changes.wrap(module, "absent", lambda *a: None)

    world.write(MOD, "answer = 1\ndef f():\n    return 'plain'")
    world.mend(make_patch(install=install))
    with pytest.warns(MacfixWarning, match="absent"):
        module = world.load()
    assert (module.answer, module.f()) == (1, "plain")


def test_a_rewrite_that_gives_no_valid_module_is_left_out_whole(world: World) -> None:
    import ast

    def spoil(tree: ast.Module) -> ast.Module:
        tree.body.append(ast.Return(value=None))
        return tree

    world.write(MOD, "answer = 1\nseen = answer")
    engine = world.mend(
        make_patch("bad", rewrite=spoil), make_patch("good", rewrite=replace_constant(1, 2))
    )
    with pytest.warns(MacfixWarning, match="bad failed"):
        assert world.load().seen == 2
    assert states(engine) == {f"bad@{MOD}": "failed", f"good@{MOD}": "applied"}


def test_source_that_does_not_parse_fails_as_without_macfix(world: World) -> None:
    world.write(MOD, "def :\n")
    engine = world.mend(make_patch())
    with pytest.raises(SyntaxError) as caught, pytest.warns(MacfixWarning, match="not parse"):
        world.load()
    assert caught.value.filename == str(world.folder / ROOT / "mod.py")
    assert states(engine) == {f"some-patch@{MOD}": "unknown upstream"}


def test_source_of_which_a_part_only_was_looked_at_and_does_not_parse(world: World) -> None:
    world.write(MOD, "answer = 1\n" + "\n\ndef :\n")
    unseen = make_patch("unseen", needed=lambda source: not_needed("not asked"))
    engine = world.mend(make_patch(), unseen)
    with pytest.raises(SyntaxError), pytest.warns(MacfixWarning, match="not parse"):
        world.load()
    assert states(engine) == {
        f"some-patch@{MOD}": "unknown upstream",
        f"unseen@{MOD}": "not needed",
    }


def test_a_syntax_error_that_is_another_files_is_not_the_targets(world: World) -> None:
    world.write(MOD, "compile('def :', 'elsewhere.py', 'exec')\n")
    engine = world.mend(make_patch())
    with pytest.raises(SyntaxError):
        world.load()
    assert states(engine) == {f"some-patch@{MOD}": "pending"}


def test_a_module_without_source_is_left_alone(world: World) -> None:
    import py_compile

    file = world.write(MOD, "answer = 1")
    py_compile.compile(str(file), cfile=str(file.with_suffix(".pyc")))
    file.unlink()
    engine = world.mend(make_patch())
    with pytest.warns(MacfixWarning, match="cannot be read"):
        assert world.load().answer == 1
    assert states(engine) == {f"some-patch@{MOD}": "unknown upstream"}


def test_warnings_that_are_errors_do_not_stop_an_import(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    import warnings

    world.write(MOD, "answer = 1")
    world.mend(make_patch(needed=always(unknown("neither nor"))))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert world.load().answer == 1
    assert "neither nor" in capsys.readouterr().err


# -- what the user chooses -----------------------------------------------------------------------


def test_skip_and_only_choose_patches_by_name(world: World) -> None:
    world.write(MOD, "a = b = c = 1")
    patches = [make_patch(n, install=lambda m, ch, n=n: ch.set(m, n, 2)) for n in ("a", "b", "c")]
    engine = world.mend(*patches, config=Config(skip={"a"}, only={"a", "b"}))
    module = world.load()
    assert (module.a, module.b, module.c) == (1, 2, 1)
    assert states(engine) == {
        f"a@{MOD}": "skipped by the user",
        f"b@{MOD}": "applied",
        f"c@{MOD}": "skipped by the user",
    }


def test_an_unknown_name_in_skip_is_one_warning_that_lists_the_patches(world: World) -> None:
    with pytest.warns(MacfixWarning, match=r"no patch 'typo'.*some-patch"):
        engine = world.mend(make_patch(), config=Config(skip={"typo"}))
    assert [p.message for p in engine.ledger.problems if "typo" in p.message]


def test_a_patch_for_another_platform_does_nothing_unless_it_is_forced(world: World) -> None:
    elsewhere = make_patch(platforms=frozenset({"beos"}))
    world.write(MOD, "answer = 1")
    engine = world.mend(elsewhere)
    assert world.load().answer == 1
    assert states(engine) == {f"some-patch@{MOD}": "not needed"}
    del sys.modules[MOD]
    sys.meta_path.remove(world.finders[0])
    world.mend(elsewhere, config=Config(force={"some-patch"}))
    assert world.load().answer == 42


def test_several_patches_of_one_target_are_applied_in_the_order_of_the_plugins(
    world: World,
) -> None:
    world.write(MOD, "answer = 1")
    world.mend(
        make_patch("first", install=set_answer("first")),
        make_patch("second", install=lambda m, c: c.set(m, "answer", m.answer + ", second")),
    )
    assert world.load().answer == "first, second"


def test_needed_gets_the_source_and_where_it_lies(world: World) -> None:
    seen: list[Any] = []
    file = world.write(MOD, "# -*- coding: latin-1 -*-\nanswer = 'x'")
    file.write_bytes(b"# -*- coding: latin-1 -*-\nanswer = '\xe9'")

    def look(source: Any) -> Any:
        seen.append((source.module, source.path, source.text, len(source.tree.body)))
        return needed("seen")

    world.mend(make_patch(needed=look, rewrite=replace_constant(None, None)))
    assert world.load().answer == "é"
    assert seen == [(MOD, str(file), "# -*- coding: latin-1 -*-\nanswer = 'é'", 1)]
