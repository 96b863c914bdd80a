"""Every way into an interpreter, in real environments; any combination activates once."""

from __future__ import annotations

import os
import pty
import shutil
import stat
import subprocess
import sys
import venv
import zipapp
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import environments
from tests.support.environments import LOOK, ON, Environment
from tests.support.sandbox import Sandbox
from tests.support.surroundings import REPOSITORY

PATCHED, ALONE = "42 1", "1 0"

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the simulation needs Linux")
BASE_PYTHON = Path(sys.base_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}")

off_darwin = pytest.mark.skipif(sys.platform == "darwin", reason="there, it is always active")


# -- enable and disable ----------------------------------------------------------------------------


def test_enable_is_idempotent_and_disable_takes_it_back(environment: Environment) -> None:
    assert environment.run("-c", LOOK, **ON) == ALONE
    before = sorted(environment.packages.rglob("*"))
    assert "is now enabled" in environment.run("-m", "macfix", "enable")
    written = environment.pth.stat().st_mtime_ns
    assert "was already enabled" in environment.run("-m", "macfix", "enable")
    assert environment.pth.stat().st_mtime_ns == written
    assert environment.run("-c", LOOK, **ON) == PATCHED
    assert environment.run("-O", "-c", LOOK, **ON) == PATCHED
    said = environment.run("-m", "macfix", "disable")
    assert f"removed {environment.pth}" in said and f"removed {environment.autoload}" in said
    assert "was not enabled" in environment.run("-m", "macfix", "disable")
    assert environment.run("-c", LOOK, **ON) == ALONE
    left = [path for path in sorted(environment.packages.rglob("*")) if path not in before]
    assert [path for path in left if "macfix" in path.name] == []


def test_check_says_whether_a_new_interpreter_comes_up_with_it(environment: Environment) -> None:
    def check() -> tuple[int, str]:
        done = environments.run(
            environment.python, "-m", "macfix", "enable", "--check", cwd=environment.folder
        )
        return done.returncode, done.stdout

    assert check()[0] == 1
    environment.run("-m", "macfix", "enable")
    assert check()[0] == 0
    text = environment.pth.read_text()
    starting = f".start('{environment.packages}'"
    environment.pth.write_text(text.replace(starting, ".start('/another'"))
    code, said = check()
    assert code == 1 and "starts the macfix in /another, which is gone" in said
    environment.run("-m", "macfix", "enable")
    assert environment.pth.read_text() == text
    assert check()[0] == 0
    others = "[f for f in sys.meta_path if not hasattr(f, 'is_macfix')]"
    (environment.packages / "zzz.pth").write_text(f"import sys; sys.meta_path[:] = {others}\n")
    code, said = check()
    assert code == 1 and "and yet macfix does not come up: " in said


def test_what_is_left_after_an_uninstall_does_nothing(environment: Environment) -> None:
    environment.run("-m", "macfix", "enable")
    shutil.rmtree(environment.packages / "macfix")
    assert environment.run("-c", LOOK, **ON) == "1 0"  # and nothing waits any more
    nothing = environment.run("-c", "import sys; print(sys.platform)", MACFIX_SIMULATE="1")
    assert nothing == sys.platform


def test_a_macfix_that_goes_while_a_process_runs_is_one_line(environment: Environment) -> None:
    environment.run("-m", "macfix", "enable")
    gone = f"import shutil; shutil.rmtree({str(environment.packages / 'macfix' / 'engine')!r}); "
    done = environments.run(environment.python, "-c", gone + LOOK, cwd=environment.folder, **ON)
    assert (done.returncode, done.stdout.strip()) == (0, ALONE)
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("macfix: not active here: ModuleNotFoundError")


def refused(environment: Environment, *words: str | Path, **env: str) -> str:
    done = environments.run(
        environment.python, *(words or ("-m", "macfix", "enable")), cwd=environment.folder, **env
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def checked(environment: Environment) -> str:
    """What `enable --check` finds wrong."""
    words = ("-m", "macfix", "enable", "--check")
    done = environments.run(environment.python, *words, cwd=environment.folder)
    assert (done.returncode, done.stderr) == (1, "")
    return done.stdout


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_read_only_environment_is_refused_with_a_reason(environment: Environment) -> None:
    environment.packages.chmod(0o555)
    try:
        assert "cannot write" in refused(environment)
    finally:
        environment.packages.chmod(0o755)


def test_a_folder_that_cannot_be_written_to_is_refused_with_a_reason(
    environment: Environment,
) -> None:
    """As above, also for root: the disk refuses."""
    full = (
        "import sys, tempfile; from macfix.cli import main\n"
        "def full(*a, **k): raise OSError(28, 'No space left on device')\n"
        "tempfile.mkstemp = full; sys.exit(main(['enable']))"
    )
    said = refused(environment, "-c", full)
    assert "cannot write" in said and "No space left on device" in said
    assert not environment.pth.exists()


def test_an_externally_managed_python_is_refused(environment: Environment, tmp_path: Path) -> None:
    (tmp_path / "EXTERNALLY-MANAGED").write_text("[externally-managed]\n")
    pretend = (
        "import sys, sysconfig; from macfix.cli import main\n"
        "sys.prefix = sys.base_prefix; real = sysconfig.get_path\n"
        f"sysconfig.get_path = lambda n, *a: {str(tmp_path)!r} if n == 'stdlib' else real(n, *a)\n"
        "sys.exit(main(['enable']))"
    )
    assert "externally managed" in refused(environment, "-c", pretend)


@pytest.mark.parametrize("part", ["activation", "activation/activate.py", "engine", "patches"])
def test_a_macfix_that_others_can_change_is_refused(environment: Environment, part: str) -> None:
    (environment.packages / "macfix" / part).chmod(0o777)
    assert "other users can change" in refused(environment)
    assert not environment.pth.exists()


def test_an_environment_that_others_can_change_is_refused(environment: Environment) -> None:
    environment.packages.chmod(0o777)
    assert "other users can change" in refused(environment)
    assert not environment.pth.exists() and not environment.autoload.exists()


def _let_others_write(file: Path) -> None:
    file.chmod(0o666)


def _give_away(file: Path) -> None:
    os.chown(file, 12345, 12345)


def _put_a_link(file: Path) -> None:
    elsewhere = file.parents[3] / "elsewhere"
    file.rename(elsewhere)
    file.symlink_to(elsewhere)


@pytest.mark.parametrize("name", ["macfix.pth", "_macfix_autoload.py"])
@pytest.mark.parametrize("spoil", [_let_others_write, _give_away, _put_a_link])
def test_enable_makes_its_files_nobody_elses(
    environment: Environment, name: str, spoil: Callable[[Path], None]
) -> None:
    if spoil is _give_away and os.getuid() != 0:
        pytest.skip("only root can give a file away")
    environment.run("-m", "macfix", "enable")
    file = environment.packages / name
    spoil(file)
    environment.run("-m", "macfix", "enable")
    state = file.lstat()
    assert (stat.S_IFMT(state.st_mode), stat.S_IMODE(state.st_mode)) == (stat.S_IFREG, 0o644)
    assert state.st_uid == os.geteuid()
    assert environment.run("-c", LOOK, **ON) == PATCHED


@pytest.mark.parametrize("left", [0, 3, 100], ids=lambda n: f"{n} bytes")
def test_a_file_that_was_cut_off_stops_nothing_and_is_put_right_or_removed(
    environment: Environment, left: int
) -> None:
    def run(*words: str) -> str:
        done = environments.run(environment.python, *words, cwd=environment.folder, **ON)
        assert done.returncode == 0
        assert "macfix.pth" in done.stderr  # the interpreter says which file it could not use
        return done.stdout.strip()

    environment.run("-m", "macfix", "enable")
    whole = environment.autoload.read_bytes()
    environment.autoload.write_bytes(whole[:left])
    assert run("-c", LOOK) == ALONE
    assert "is now enabled" in run("-m", "macfix", "enable")
    assert environment.run("-c", LOOK, **ON) == PATCHED
    environment.autoload.write_bytes(whole[:left])
    assert "removed" in run("-m", "macfix", "disable")
    assert not environment.pth.exists() and not environment.autoload.exists()


def test_somebody_elses_file_of_that_name_is_left_alone(environment: Environment) -> None:
    environment.pth.write_text("# mine\n")
    assert "was not written by macfix" in refused(environment)
    assert "was not written by macfix" in checked(environment)
    assert environment.run("-m", "macfix", "disable")
    assert environment.pth.read_text() == "# mine\n" and not environment.autoload.exists()
    environment.pth.unlink()
    environment.autoload.write_text("this is mine, too\n")
    assert "was not written by macfix" in refused(environment)
    assert "was not written by macfix" in checked(environment)
    assert environment.run("-m", "macfix", "disable")
    assert (
        environment.autoload.read_text() == "this is mine, too\n" and not environment.pth.exists()
    )


# -- environments that move, or are shared ---------------------------------------------------------


def test_an_environment_that_was_moved_is_inert_and_silent(
    environment: Environment, tmp_path: Path
) -> None:
    environment.run("-m", "macfix", "enable")
    moved = Environment(environment.folder.rename(tmp_path / "moved"))
    assert moved.run("-c", LOOK, **ON) == ALONE
    done = environments.run(moved.python, "-m", "macfix", "enable", "--check", cwd=tmp_path)
    assert done.returncode == 1
    assert "starts another macfix" in done.stdout or "moved or copied" in done.stdout
    moved.run("-m", "macfix", "enable")
    assert moved.run("-c", LOOK, **ON) == PATCHED


def test_a_copy_of_an_environment_is_inert_and_silent(
    environment: Environment, tmp_path: Path
) -> None:
    """Its macfix would be that of the other environment, as long as that is there."""
    environment.run("-m", "macfix", "enable")
    copy = Environment(tmp_path / "copy")
    shutil.copytree(environment.folder, copy.folder, symlinks=True)
    look = LOOK + "; print([m for m in sys.modules if m.startswith('macfix')])"
    assert copy.run("-c", look, **ON).splitlines() == [ALONE, "[]"]
    done = environments.run(copy.python, "-m", "macfix", "enable", "--check", cwd=tmp_path)
    assert (done.returncode, "moved or copied" in done.stdout) == (1, True)
    assert environment.run("-c", LOOK, **ON) == PATCHED


def test_another_spelling_of_its_path_is_the_same_environment(
    environment: Environment, tmp_path: Path
) -> None:
    """As macOS's /tmp and /private/tmp."""
    environment.run("-m", "macfix", "enable")
    (tmp_path / "link").symlink_to(environment.folder)
    linked = Environment(tmp_path / "link")
    assert linked.run("-c", LOOK, **ON) == PATCHED
    assert "macfix is enabled in" in linked.run("-m", "macfix", "enable", "--check")
    assert "was already enabled" in environment.run("-m", "macfix", "enable")
    assert "removed" in linked.run("-m", "macfix", "disable")
    assert not environment.pth.exists()


def test_below_a_sticky_folder_that_a_link_leads_to(installed: Environment, tmp_path: Path) -> None:
    """As macOS's /tmp, which is a link to /private/tmp."""
    (tmp_path / "private").mkdir()
    (tmp_path / "private").chmod(0o1777)
    (tmp_path / "tmp").symlink_to(tmp_path / "private")
    environment = environments.like(installed, tmp_path / "tmp" / "env")
    assert "is now enabled" in environment.run("-m", "macfix", "enable")
    assert environment.run("-c", LOOK, **ON) == PATCHED


def test_a_macfix_in_a_path_with_a_colon_runs_no_program_and_says_why(
    installed: Environment, tmp_path: Path
) -> None:
    environment = environments.like(installed, tmp_path / "odd")
    target = tmp_path / "a:b"
    target.mkdir()
    (environment.packages / "macfix").rename(target / "macfix")
    (environment.packages / "there.pth").write_text(f"{target}\n")
    said = refused_program(environment, "-m", "macfix", "-c", LOOK)
    assert f"a path with ':' in it ({target}) cannot go on PYTHONPATH" in said
    assert "`macfix enable` does it" in said
    twice = "import macfix; macfix.activate(); macfix.activate(); " + LOOK
    done = environments.run(environment.python, "-c", twice, cwd=environment.folder, **ON)
    assert done.stdout.strip() == PATCHED
    why = f"a path with ':' in it ({target}) cannot go on PYTHONPATH; `macfix enable` reaches them"
    assert done.stderr.count(f"MacfixWarning: children are not patched: {why}") == 1
    environment.run("-m", "macfix", "enable")
    assert environment.run("-c", twice, **ON) == PATCHED
    assert environment.run("-c", LOOK, **ON) == PATCHED
    assert environment.run("-m", "macfix", "-c", LOOK, **ON) == PATCHED
    path = "import os; print(os.environ.get('PYTHONPATH'))"
    assert environment.run("-m", "macfix", "-c", path, **ON) == "None"


def refused_program(environment: Environment, *words: str) -> str:
    done = environments.run(environment.python, *words, cwd=environment.folder, **ON)
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr


@pytest.mark.parametrize("option", ["-E", "-I"])
def test_options_that_ignore_variables_need_the_pth(
    enabled: Environment, environment: Environment, option: str
) -> None:
    assert "`macfix enable`" in refused_program(environment, option, "-m", "macfix", "-c", LOOK)
    assert enabled.run(option, "-m", "macfix", "-c", LOOK, **ON) == PATCHED


# -- neighbours ------------------------------------------------------------------------------------

NEIGHBOUR = """\
import os, sys
print("neighbour")
here = os.path.dirname(__file__)
sys.path[:] = [place for place in sys.path if place != here]
own = sys.modules.pop("sitecustomize")
try:
    import sitecustomize
except ImportError:
    sys.modules["sitecustomize"] = own
"""
"""How ddtrace's hands on to the next one."""


@pytest.mark.parametrize("first", ["neighbour", "macfix"])
def test_a_sitecustomize_of_others_in_either_order(
    environment: Environment, tmp_path: Path, first: str
) -> None:
    (tmp_path / "neighbour").mkdir()
    (tmp_path / "neighbour" / "sitecustomize.py").write_text(NEIGHBOUR)
    places = [str(tmp_path / "neighbour"), str(environment.packages / SITE)]
    path = os.pathsep.join(places if first == "neighbour" else places[::-1])
    shown = environment.run("-c", LOOK, PYTHONPATH=path, **ON)
    assert shown.splitlines() == ["neighbour", PATCHED]


# -- options of the interpreter --------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [[], ["-I"], ["-E"], ["-s"], ["-O"], ["-P"], ["-X", "utf8=0"]], ids=" ".join
)
def test_it_comes_up_under_every_option(enabled: Environment, options: list[str]) -> None:
    if options == ["-P"] and sys.version_info < (3, 11):
        pytest.skip("there is no -P before Python 3.11")
    assert enabled.run(*options, "-c", LOOK, **ON) == PATCHED


def test_it_comes_up_with_a_safe_path(enabled: Environment) -> None:
    assert enabled.run("-c", LOOK, PYTHONSAFEPATH="1", **ON) == PATCHED


def test_without_site_nothing_comes_up_and_nothing_breaks(enabled: Environment) -> None:
    look = f"import sys; sys.path.append({str(enabled.packages)!r}); " + LOOK
    assert enabled.run("-S", "-c", look, **ON) == ALONE
    by_hand = (
        f"import sys; sys.path.append({str(enabled.packages)!r}); import macfix; "
        f"macfix.activate(); {LOOK}"
    )
    assert enabled.run("-S", "-c", by_hand, **ON) == PATCHED


@off_darwin
def test_off_darwin_it_stays_out(enabled: Environment) -> None:
    assert enabled.run("-c", LOOK) == ALONE
    loaded = "import sys; print([m for m in sys.modules if 'macfix' in m])"
    assert enabled.run("-c", loaded) == "['_macfix_autoload']"


def test_off_means_off(enabled: Environment) -> None:
    assert enabled.run("-c", LOOK, MACFIX="off", **ON) == ALONE


def test_until_a_target_is_imported_nothing_of_it_is(enabled: Environment) -> None:
    heavy = (
        "pluggy wrapt importlib.metadata typing inspect ast dataclasses macfix importlib.util re"
    )
    loaded = f"import sys; print(sorted(set({heavy.split()!r}) & set(sys.modules)))"
    without = enabled.run("-c", loaded, MACFIX="off")
    assert without == "[]"
    assert enabled.run("-c", loaded, **ON) == "[]"
    and_more = f"import json, socket; {loaded.replace('macfix ', '')}"
    assert enabled.run("-c", and_more, **ON) == enabled.run("-c", and_more, MACFIX="off")


# -- combinations ----------------------------------------------------------------------------------

SITE = "macfix/activation/site"


@pytest.mark.parametrize("by_runner", [False, True])
@pytest.mark.parametrize("by_path", [False, True])
@pytest.mark.parametrize("by_call", [False, True])
def test_any_combination_activates_once(
    enabled: Environment, by_runner: bool, by_path: bool, by_call: bool
) -> None:
    path = {"PYTHONPATH": str(enabled.packages / SITE)} if by_path else {}
    call = "import macfix; macfix.activate(); macfix.activate(); " if by_call else ""
    words = ["-m", "macfix"] if by_runner else []
    assert enabled.run(*words, "-c", call + LOOK, **path, **ON) == PATCHED


ASKING = """
import importlib.util, sys
class Asking:
    asked = []
    def find_spec(self, name, path=None, target=None):
        if name in self.asked:
            return None
        self.asked.append(name)
        return importlib.util.find_spec(name)
sys.meta_path.insert(PLACE, Asking())
"""


@pytest.mark.parametrize("place", [0, 1], ids=["before macfix", "behind macfix"])
def test_a_hook_that_asks_the_whole_import_system_is_patched_once(
    enabled: Environment, place: int
) -> None:
    code = ASKING.replace("PLACE", str(place)) + LOOK
    assert enabled.run("-c", code, **ON) == PATCHED


def test_to_ask_where_an_upstream_lies_patches_it_later(enabled: Environment) -> None:
    ask = (
        "import importlib.util as util; spec = util.find_spec('tractor'); "
        "module = util.module_from_spec(spec); spec.loader.exec_module(module); "
        "import pkgutil; assert pkgutil.resolve_name('tractor').__spec__ is not spec; "
    )
    assert enabled.run("-c", ask + LOOK, **ON) == PATCHED


@pytest.mark.parametrize("start", ["", "import macfix; macfix.activate(); "])
def test_a_target_in_a_package_that_was_made_by_hand(enabled: Environment, start: str) -> None:
    by_hand = (
        "import sys; made = sys.modules['tractor'] = type(sys)('tractor'); "
        f"made.__path__ = [{str(enabled.packages / 'tractor')!r}]; "
    )
    assert enabled.run("-c", start + by_hand + LOOK, **ON) == PATCHED


RELOAD = "import importlib, tractor; importlib.reload(tractor); " + LOOK


def test_a_reload_of_an_upstream_and_of_a_target(enabled: Environment) -> None:
    assert enabled.run("-c", RELOAD, **ON) == PATCHED
    again = "; importlib.reload(tractor.thing); print(tractor.thing.answer)"
    assert enabled.run("-c", RELOAD + again, **ON).splitlines() == [PATCHED, "42"]
    before = "import tractor, sys; sys.meta_path[0].find_spec; " + RELOAD
    assert enabled.run("-c", before, **ON) == PATCHED


def test_status_counts_as_the_first_look(enabled: Environment) -> None:
    look = "import macfix; print(macfix.status().active, macfix.status().reason); " + LOOK
    assert enabled.run("-c", look, **ON).splitlines() == [
        f"True on {sys.platform}",
        PATCHED,
    ]


def test_deactivate_leaves_no_trace(enabled: Environment) -> None:
    look = (
        "import os, sys; env = dict(os.environ); import macfix, tractor.thing as t; m = vars(t)\n"
        "left = macfix.deactivate()\n"
        "print(left, t.answer, vars(sys.modules['tractor.thing']) is m, env == dict(os.environ),"
        " [f for f in sys.meta_path if 'macfix' in repr(f)])"
    )
    assert enabled.run("-c", look, **ON) == "[] 1 True True []"
    early = "import macfix, sys; macfix.deactivate(); print(len(sys.meta_path)); " + LOOK
    assert enabled.run("-c", early, **ON).splitlines() == ["3", ALONE]


def test_deactivate_leaves_nothing_waiting_where_site_was_run_again(enabled: Environment) -> None:
    again = """
import sys
class Other:
    def find_spec(self, name, path=None, target=None): return None
sys.meta_path.insert(0, Other())
import site; site.main()
"""
    assert enabled.run("-c", again + LOOK, **ON) == PATCHED
    undo = "import macfix; macfix.deactivate()\n"
    assert enabled.run("-c", again + undo + LOOK, **ON) == ALONE


def test_deactivate_in_a_child_gives_its_children_their_old_environment(
    enabled: Environment,
) -> None:
    look = "import os, macfix; macfix.deactivate(); print(os.environ.get('PYTHONPATH')); " + LOOK
    site = str(enabled.packages / SITE)
    for pythonpath, left in (f"{site}:/elsewhere", "/elsewhere"), (site, "None"):
        shown = enabled.run("-c", look, PYTHONPATH=pythonpath, **ON)
        assert shown.splitlines() == [left, ALONE]


# -- children --------------------------------------------------------------------------------------

CHILDREN = """
    import multiprocessing, os, subprocess, sys

    def look():
        import tractor.thing
        return f"{tractor.thing.answer} {sum(hasattr(f, 'is_macfix') for f in sys.meta_path)}"

    if __name__ == "__main__":
        for method in sorted(multiprocessing.get_all_start_methods()):
            with multiprocessing.get_context(method).Pool(1) as pool:
                print(method, pool.apply(look))
        if hasattr(os, "fork"):
            sys.stdout.flush()
            if os.fork() == 0:
                print("os.fork", look(), flush=True)
                os._exit(0)
            os.wait()
        code = "import program; print(program.look())"
        for options in [], ["-I"], ["-E"]:
            words = [sys.executable, *options, "-c", f"import sys; sys.path.append('.'); {code}"]
            out = subprocess.run(words, env=ENV, capture_output=True, text=True, check=True)
            print("subprocess", *options, out.stdout.strip())
"""


BARE = "{'MACFIX_FORCE': 'own-thing', 'HOME': os.environ['HOME']}"


@pytest.mark.parametrize("env", ["None", BARE], ids=["inherited", "bare"])
def test_children_of_every_kind_come_up_patched(
    enabled: Environment, tmp_path: Path, env: str
) -> None:
    file = environments.program(tmp_path, CHILDREN.replace("env=ENV", f"env={env}"))
    lines = enabled.run(file, cwd=tmp_path, **ON).splitlines()
    assert len(lines) >= 6
    assert [line for line in lines if not line.endswith(PATCHED)] == []


def test_without_the_runner_too_a_tree_is_told_once(enabled: Environment) -> None:
    code = f"{LOOK}; import subprocess; subprocess.run([sys.executable, '-c', {LOOK!r}])"
    wrong = {"MACFIX_SKIPP": "x"}
    done = environments.run(enabled.python, "-c", code, cwd=enabled.folder, **ON, **wrong)
    assert done.stdout.splitlines() == [PATCHED] * 2
    assert done.stderr.count("macfix has no variable MACFIX_SKIPP") == 1, done.stderr


# -- layouts ---------------------------------------------------------------------------------------


def test_an_editable_install(tmp_path: Path) -> None:
    environment = Environment.make(tmp_path / "env")
    (environment.packages / "_editable_macfix.pth").write_text(f"{REPOSITORY}\n")
    environment.run("-m", "macfix", "enable")
    assert str(REPOSITORY) in environment.pth.read_text()
    assert environment.run("-I", "-c", LOOK, **ON) == PATCHED


def test_a_target_folder(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    environments.pip("install", "--quiet", "--no-deps", "--target", target, wheel)
    environments.lay_out_dependencies(target)
    environment = Environment.make(tmp_path / "env")
    shutil.rmtree(environment.packages / "wrapt")
    shutil.rmtree(environment.packages / "pluggy")
    path = {"PYTHONPATH": str(target)}
    assert environment.run("-m", "macfix", "-c", LOOK, **path, **ON) == PATCHED
    assert "`macfix enable --yes`" in refused(environment, **path)  # nobody can be asked
    assert not environment.pth.exists()
    answer, words = b"n\n", [str(environment.python), "-m", "macfix", "enable"]
    for expected in (False, True):
        leader, follower = pty.openpty()
        os.write(leader, answer)
        subprocess.run(words, env=path, stdin=follower, stdout=follower, timeout=60)
        os.close(follower)
        os.close(leader)
        assert environment.pth.exists() is expected
        answer = b"y\n"
    environment.run("-m", "macfix", "disable", **path)
    said = environment.run("-m", "macfix", "enable", "--yes", **path)
    assert f"PYTHONPATH={target} {environment.python} -m macfix disable` undoes it" in said
    assert environment.run("-c", LOOK, **ON) == PATCHED  # dependencies come from beside macfix
    assert environment.run("-I", "-c", LOOK, **ON) == PATCHED


@pytest.mark.parametrize(
    ("prefix", "right"),
    [
        ("uv/archive-v0/x", "`uv run --no-project macfix enable`"),
        ("uv/builds-v0/.tmpx", "`uv run --no-project macfix enable`"),
        ("pipx/x", "`python -m macfix enable`"),
        ("pipx/venvs/x", ""),
    ],
)
def test_an_environment_for_one_command_is_refused(
    environment: Environment, tmp_path: Path, prefix: str, right: str
) -> None:
    folder = tmp_path / prefix
    folder.mkdir(parents=True)
    if "pipx" in prefix:
        (folder / "pipx_metadata.json").touch()
    pretend = (
        f"import sys; sys.prefix = {str(folder)!r}\n"
        "from macfix.cli import main; sys.exit(main(['enable']))"
    )
    if right:
        said = refused(environment, "-c", pretend)
        assert f"{folder} is an environment for this one command" in said and right in said
        assert not environment.pth.exists()
    else:
        done = environments.run(environment.python, "-c", pretend, cwd=environment.folder)
        assert "for this one command" not in done.stderr


@pytest.fixture
def user_site(tmp_path: Path) -> Path:
    """The site-packages of a user with the home folder `tmp_path`, enabled."""
    home = {"HOME": str(tmp_path)}
    code = "import site; print(site.getusersitepackages())"
    packages = Path(environments.run(BASE_PYTHON, "-c", code, cwd=tmp_path, **home).stdout.strip())
    assert tmp_path in packages.parents
    environments.lay_out_upstream(packages)
    environments.lay_out_dependencies(packages)
    environments.lay_out_macfix(packages)
    done = environments.run(BASE_PYTHON, "-m", "macfix", "enable", cwd=tmp_path, **home)
    if "externally managed" in done.stderr:
        pytest.skip(f"{BASE_PYTHON} is managed by somebody else")
    assert done.returncode == 0 and "is now enabled" in done.stdout, done.stdout + done.stderr
    return packages


def test_a_user_site(user_site: Path, tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}

    def look(*words: str, python: Path = BASE_PYTHON, **env: str) -> str:
        done = environments.run(python, *words, cwd=tmp_path, **home, **env)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        return done.stdout.strip()

    assert look("-m", "macfix", "enable", "--check")
    assert look("-c", LOOK, **ON) == PATCHED
    assert look("-E", "-m", "macfix", "-c", LOOK, **ON) == PATCHED
    own = with_the_users_packages(tmp_path / "env")
    assert look("-m", "macfix", "enable", "--check", python=own.python)
    assert "was not enabled" in look("-m", "macfix", "disable", python=own.python)
    assert str(own.pth) in look("-m", "macfix", "enable", python=own.python)
    assert str(own.pth) in look("-m", "macfix", "disable", python=own.python)
    environments.lay_out_macfix(own.packages)
    said = done_in(own, "enable", "--check", **home).stdout
    assert f"starts the macfix in {user_site}, which wins over this one: `macfix enable`" in said
    shown = LOOK + "; print(sys.modules['macfix'].__file__)"
    for way in ((), ("-m", "macfix")):
        found = look(*way, "-c", shown, python=own.python, **ON)
        assert found == f"{PATCHED}\n{user_site / 'macfix' / '__init__.py'}"
    assert "was not enabled" in look("-m", "macfix", "disable", python=own.python)
    assert "is now enabled" in look("-m", "macfix", "enable", python=own.python)
    over = f"{own.pth} (which wins over {user_site / 'macfix.pth'})"
    assert over in look("-m", "macfix", "enable", "--check", python=own.python)
    found = look("-c", shown, python=own.python, **ON)
    assert found == f"{PATCHED}\n{own.packages / 'macfix' / '__init__.py'}"
    assert str(own.pth) in look("-m", "macfix", "disable", python=own.python)
    assert look("-m", "macfix", "enable", "--check")
    assert look("-m", "macfix", "disable")
    assert not (user_site / "macfix.pth").exists()


def test_an_isolated_program_needs_the_pth_of_its_own_environment(
    user_site: Path, tmp_path: Path
) -> None:
    """What is enabled in the user site, `-I` leaves out."""
    own = with_the_users_packages(tmp_path / "env")
    environments.lay_out_upstream(own.packages)
    environments.lay_out_dependencies(own.packages)
    environments.lay_out_macfix(own.packages)
    words, home = ("-I", "-m", "macfix", "-c", LOOK), {"HOME": str(tmp_path)}
    done = environments.run(own.python, *words, cwd=tmp_path, **home, **ON)
    assert f"macfix is not enabled in {own.folder}: `macfix enable` does it" in done.stderr
    own.run("-m", "macfix", "enable", **home)
    assert own.run(*words, **home, **ON) == PATCHED


def test_what_a_macfix_that_is_gone_has_left_does_not_keep_another_out(
    user_site: Path, tmp_path: Path
) -> None:
    own = with_the_users_packages(tmp_path / "env")
    shutil.move(user_site / "macfix", own.packages / "macfix")
    home = {"HOME": str(tmp_path)}
    said = done_in(own, "enable", "--check", **home).stdout
    assert f"starts the macfix in {user_site}, which is gone: `macfix enable` puts" in said
    assert own.run("-m", "macfix", "-c", LOOK, **home, **ON) == PATCHED
    own.run("-m", "macfix", "enable", **home)
    assert own.run("-c", LOOK, **home, **ON) == PATCHED


def with_the_users_packages(folder: Path) -> Environment:
    """Make an environment that also looks into the user's packages."""
    venv.create(folder, system_site_packages=True, symlinks=True)
    return Environment(folder)


def done_in(environment: Environment, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """What a command of macfix's said and did in *environment*."""
    python, folder = environment.python, environment.folder
    return environments.run(python, "-m", "macfix", *words, cwd=folder, **env)


def test_a_stale_file_of_an_environment_does_not_keep_that_of_the_user_site_out(
    enabled: Environment, user_site: Path, tmp_path: Path
) -> None:
    """Both have an autoload of that name."""
    stale = with_the_users_packages(tmp_path / "stale")
    for file in (enabled.pth, enabled.autoload):
        shutil.copy(file, stale.packages)
    assert stale.run("-c", LOOK, HOME=str(tmp_path), **ON) == PATCHED


def test_an_autoload_earlier_on_the_path_does_not_keep_this_one_out(
    enabled: Environment, environment: Environment
) -> None:
    path = {"PYTHONPATH": str(enabled.packages)}
    environment.run("-m", "macfix", "enable")
    look = LOOK + "; print(sys.modules['macfix'].__file__)"
    shown = environment.run("-c", look, **path, **ON).splitlines()
    assert shown == [PATCHED, str(environment.packages / "macfix" / "__init__.py")]


def test_a_child_of_another_environment_gets_none_of_the_packages(
    environment: Environment, tmp_path: Path
) -> None:
    other = Environment(tmp_path / "other")
    venv.create(other.folder, symlinks=True)
    environments.lay_out_upstream(other.packages)
    (environment.packages / "only_here.py").touch()
    child = LOOK + "\ntry: import only_here\nexcept ImportError: print('none')"
    program = f"import subprocess; subprocess.run([{str(other.python)!r}, '-c', {child!r}])"
    assert environment.run("-m", "macfix", "-c", program, **ON).split() == [
        *PATCHED.split(),
        "none",
    ]


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_what_others_print_at_the_start_is_no_failure(
    environment: Environment, stream: str
) -> None:
    text = f"import sys; sys.{stream}.write('good morning')\n"
    (environment.packages / "aaa.pth").write_text(text)
    assert done_in(environment, "enable").returncode == 0
    assert done_in(environment, "enable", "--check").returncode == 0
    done = environments.run(
        environment.python, "-E", "-m", "macfix", "-c", LOOK, cwd=environment.folder, **ON
    )
    assert PATCHED in done.stdout


def test_a_zipapp_runs_programs_and_cannot_be_enabled(tmp_path: Path) -> None:
    content = tmp_path / "content"
    content.mkdir()
    environments.lay_out_macfix(content)
    environments.lay_out_dependencies(content)
    (content / "__main__.py").write_text("import macfix.cli, sys\nsys.exit(macfix.cli.main())\n")
    app = tmp_path / "macfix.pyz"
    zipapp.create_archive(content, app)
    environment = Environment.make(tmp_path / "env")
    for name in ("wrapt", "pluggy"):
        shutil.rmtree(environment.packages / name)
    assert environment.run(app, "-c", LOOK, **ON) == PATCHED
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {LOOK!r}], check=True)"
    assert environment.run(app, "-c", child, **ON) == PATCHED
    assert "install it into the environment" in refused(environment, app, "enable")
    said = environments.run(environment.python, app, "enable", "--check", cwd=tmp_path).stdout
    assert "install it into the environment" in said


def test_an_environment_of_links_as_uv_makes_it(wheel: Path, tmp_path: Path) -> None:
    """uv can link every file of a package out of its cache, and puts a .pth of its own there."""
    store = tmp_path / "store"
    environments.pip("install", "--quiet", "--no-deps", "--target", store, wheel)
    environment = Environment.make(tmp_path / "env")
    for file in sorted(store.rglob("*")):
        place = environment.packages / file.relative_to(store)
        if file.is_dir():
            place.mkdir(exist_ok=True)
        elif "__pycache__" not in file.parts:
            place.symlink_to(file)
    (environment.packages / "_virtualenv.pth").write_text("import _virtualenv\n")
    (environment.packages / "_virtualenv.py").touch()
    environment.run("-m", "macfix", "enable")
    assert environment.run("-c", LOOK, **ON) == PATCHED


def test_a_command_of_an_environment_of_its_own_as_pipx_makes_it(
    enabled: Environment, tmp_path: Path
) -> None:
    """pipx links the scripts of one environment for each application into a common folder."""
    script = enabled.folder / "bin" / "application"
    script.write_text(f"#!{enabled.python}\n{LOOK}\n")
    script.chmod(0o755)
    (tmp_path / "application").symlink_to(script)
    done = environments.run(tmp_path / "application", cwd=tmp_path, **ON)
    assert (done.stdout.strip(), done.stderr) == (PATCHED, "")


@on_linux
def test_the_simulation_comes_up_through_the_pth(enabled: Environment, sandbox: Sandbox) -> None:
    look = "import sys; print(sys.platform, sum(hasattr(f, 'is_macfix') for f in sys.meta_path))"
    simulated = {"MACFIX_SIMULATE": "1", "MACFIX_SIMULATE_DIR": str(sandbox.segments)}
    assert enabled.run("-c", look, **simulated) == "darwin 1"
    assert enabled.run("-I", "-c", look, **simulated) == "darwin 1"
    for off in (" ", "0", "Off", "no", "false "):
        assert enabled.run("-c", look, **simulated | {"MACFIX_SIMULATE": off}) == "linux 0"
    done = environments.run(
        enabled.python, "-I", "-c", look, cwd=enabled.folder, MACFIX_SIMULATE="page=3"
    )
    assert (done.returncode, done.stdout) == (2, "")  # plain Linux would be a false answer
    assert done.stderr.startswith("macfix: not active here: SimulationError")


def test_a_host_can_find_it_by_its_entry_point(enabled: Environment) -> None:
    host = (
        "from importlib.metadata import entry_points\n"
        "for point in entry_points(group='macfix.activation'): point.load()()\n"
    )
    assert enabled.run("-S", "-c", _with_path(enabled, host + LOOK), **ON) == PATCHED


def _with_path(environment: Environment, code: str) -> str:
    return f"import sys; sys.path.append({str(environment.packages)!r})\n{code}"
