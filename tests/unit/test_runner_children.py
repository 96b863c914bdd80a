"""Children that run the parent's ``__main__`` again find the program, guarded, as they do alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.twins import Twins

WORK = """\
import multiprocessing as mp
import os
import sys

print("imported as", __name__, __spec__ and __spec__.name, os.path.basename(__file__), flush=True)


class Thing:
    def __init__(self, number):
        self.number = number


def double(thing):
    return Thing(thing.number * 2), __name__, sys.argv, sys.path[0], "macfix" in str(__file__)


def work(method):
    with mp.get_context(method).Pool(1) as pool:
        thing, *rest = pool.apply(double, (Thing(21),))
    print(type(thing) is Thing, thing.number, rest)


if __name__ == "__main__":
    work(sys.argv[1])
"""

FAIL = """\
import multiprocessing as mp
import sys


def fail():
    raise KeyError("in the child")


if __name__ == "__main__":
    child = mp.get_context(sys.argv[1]).Process(target=fail, name="child")
    child.start()
    child.join()
    print(child.exitcode)
"""

POOL = """\
from concurrent.futures import ProcessPoolExecutor
import multiprocessing as mp
import sys


def square(number):
    return number * number


if __name__ == "__main__":
    with ProcessPoolExecutor(2, mp_context=mp.get_context(sys.argv[1])) as pool:
        print(list(pool.map(square, range(5))))
"""

UNGUARDED = """\
import multiprocessing as mp
print("unguarded", __name__)
child = mp.get_context("spawn").Process(target=print, args=("in the child",))
child.start()
child.join()
print(child.exitcode)
"""

METHODS = ("spawn", "forkserver", "fork")


@pytest.fixture
def twins(tmp_path: Path) -> Twins:
    return Twins(tmp_path)


def place(folder: Path, kind: str, text: str) -> list[str]:
    """Write the program *text* into *folder* as *kind*; the answer is how to run it."""
    (folder / "package").mkdir()
    (folder / "package" / "__init__.py").touch()
    file, words = {
        "script": ("prog.py", ["prog.py"]),
        "script without suffix": ("prog", ["./prog"]),
        "module": ("prog.py", ["-m", "prog"]),
        "submodule": ("package/prog.py", ["-m", "package.prog"]),
    }[kind]
    (folder / file).write_text(text)
    return words


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["script", "script without suffix", "module", "submodule"])
def test_objects_of_main_cross_over(twins: Twins, kind: str, method: str) -> None:
    words = [*place(twins.folder, kind, WORK), method]
    shown = twins.assert_same(words, env={"PYTHONWARNINGS": "ignore"})
    assert "True 42" in shown.stdout
    assert shown.stdout.count("imported as __mp_main__") == (method != "fork")


@pytest.mark.parametrize("method", METHODS)
def test_a_childs_traceback_is_its_own(twins: Twins, method: str) -> None:
    words = [*place(twins.folder, "script", FAIL), method]
    shown = twins.assert_same(words, env={"PYTHONWARNINGS": "ignore"})
    # a forked child has the frames of its parent below its own, but they are not shown
    assert "in the child" in shown.stderr
    assert "macfix" not in shown.stderr or method == "fork"


@pytest.mark.parametrize("method", METHODS)
def test_process_pools_work(twins: Twins, method: str) -> None:
    words = [*place(twins.folder, "script", POOL), method]
    shown = twins.assert_same(words, env={"PYTHONWARNINGS": "ignore"})
    assert shown.stdout == "[0, 1, 4, 9, 16]\n"


def test_a_program_without_guard_fails_as_it_does_alone(twins: Twins) -> None:
    words = place(twins.folder, "script", UNGUARDED)
    shown = twins.assert_same(words)
    assert "unguarded __mp_main__" in shown.stdout
    assert "freeze_support" in shown.stderr


@pytest.mark.parametrize("kind", ["script", "module", "submodule"])
def test_main_can_be_run_again_by_name_or_path(twins: Twins, kind: str) -> None:
    """What tractor does: name or path of ``__main__`` go to the child, which runs it again."""
    text = (
        "import sys\n"
        "from multiprocessing import spawn\n"
        "print('running as', __name__)\n"
        "if __name__ == '__main__':\n"
        "    data = spawn.get_preparation_data('x')\n"
        "    name, path = data.get('init_main_from_name'), data.get('init_main_from_path')\n"
        "    print(name, path)\n"
        "    sys.modules['__main__'].__dict__.pop('__spec__')\n"
        "    main = sys.modules['__main__'] = type(sys)('__main__')\n"
        "    spawn._fixup_main_from_name(name) if name else spawn._fixup_main_from_path(path)\n"
        "    print(sys.modules['__main__'].__name__)\n"
    )
    shown = twins.assert_same(place(twins.folder, kind, text))
    assert "running as __mp_main__" in shown.stdout


def test_the_program_runs_in_the_process_that_was_started(twins: Twins) -> None:
    shown = twins.assert_same(["-c", "import os; print(os.getppid())"])
    assert shown.stdout == f"{os.getpid()}\n"
