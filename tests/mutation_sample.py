"""Do the tests notice? A random sample of small changes to macfix's own code, and what kills each.

    python tests/mutation_sample.py [--count 200] [--seed 1] [--jobs 2] [--only TEXT]
                                    [--out FOLDER]

Mutants of `engine/`, `patches/` and `darwin/` are drawn by the seed: a condition negated, a
comparison turned around, `and` for `or`, a `not` left out, a number or a truth value changed, a
call, an assignment, a `raise` or a returned value left out. What changes nothing (a `return None`)
does not count. Each is tried in a copy of the project.

First all unit tests run once, unchanged, to learn which of them execute which line: a mutant meets
those that execute its lines, the quickest first. What runs in child processes is not seen there, so
what is left then meets the unit tests named after its folder, the end-to-end tests, and all other
unit tests. With MACFIX_UPSTREAM, a patch's mutant also meets all of its repros there, as with
MACFIX_HEAVY=full: without, what is wrong with a `repro()` may go unnoticed.

What survives the first round is shown as a diff, to be read: it may be equivalent to the original.
Each result is printed when it is known, with the mutant's number. `--out` keeps them, and which
test executes which line: another run with that folder, of an unchanged `macfix/`, goes on from
there. Take a line out of its `results.txt` to have that mutant tried again.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import Queue
from typing import NamedTuple

import coverage
import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
FOLDERS = ("macfix/engine", "macfix/patches", "macfix/darwin")
NAMED = {
    "macfix/engine": ("test_engine", "test_activat", "test_deactiv", "test_config", "test_files"),
    "macfix/patches/aio": ("test_aio", "test_patch_aio", "test_patch_modules"),
    "macfix/patches": ("test_patch",),
    "macfix/darwin/segments": (
        "test_segments",
        "test_darwin_shm",
        "test_cli_shm",
        "test_patch_shm",
    ),
    "macfix/darwin": ("test_darwin", "test_cli_conformance", "test_patch"),
}
"""Which unit tests are named after which folder; the first that fits."""

PYTEST = [sys.executable, "-m", "pytest", "-q", "-x", "-n0", "-p", "no:cacheprovider"]
PYTEST += ["-rfE", "--tb=no", "--timeout=60"]
PATIENCE = 1800.0
ALIVE = "alive"
UPSTREAM = "tests/upstream/test_repros.py"
TURNED = {
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.In: "not in",
    ast.NotIn: "in",
}


class Mutant(NamedTuple):
    """One change of one file: `text` in place of what stands between two offsets."""

    file: str
    start: int
    end: int
    text: str

    def applied(self, source: bytes) -> bytes:
        return source[: self.start] + self.text.encode() + source[self.end :]

    def lines(self) -> range:
        """The numbers of the lines that are changed."""
        source = (REPOSITORY / self.file).read_bytes()
        first, last = (source.count(b"\n", 0, place) + 1 for place in (self.start, self.end))
        return range(first, last + 1)

    def diff(self) -> str:
        before = (REPOSITORY / self.file).read_bytes()
        lines = [part.decode().splitlines() for part in (before, self.applied(before))]
        return "\n".join(difflib.unified_diff(*lines, self.file, self.file, lineterm="", n=2))


def mutants_of(file: str) -> Iterator[Mutant]:
    source = (REPOSITORY / file).read_bytes()
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def span(node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None and node.end_col_offset is not None
        first = starts[node.lineno - 1] + node.col_offset
        return first, starts[node.end_lineno - 1] + node.end_col_offset

    def text(node: ast.expr | ast.stmt) -> str:
        first, last = span(node)
        return source[first:last].decode()

    for node in executed(ast.parse(source)):
        if isinstance(node, (ast.If, ast.While, ast.IfExp)):
            yield Mutant(file, *span(node.test), f"(not ({text(node.test)}))")
        elif isinstance(node, ast.Compare) and len(node.ops) == 1:
            right = TURNED[type(node.ops[0])]
            yield Mutant(
                file, *span(node), f"({text(node.left)} {right} {text(node.comparators[0])})"
            )
        elif isinstance(node, ast.BoolOp):
            word = " or " if isinstance(node.op, ast.And) else " and "
            yield Mutant(file, *span(node), f"({word.join(f'({text(v)})' for v in node.values)})")
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield Mutant(file, *span(node), f"({text(node.operand)})")
        elif isinstance(node, ast.Constant) and isinstance(node.value, (bool, int)):
            value = not node.value if isinstance(node.value, bool) else node.value + 1
            yield Mutant(file, *span(node), repr(value))
        elif isinstance(node, ast.Return) and node.value is not None:
            yield Mutant(file, *span(node), "return None")
        elif (
            isinstance(node, (ast.Raise, ast.AugAssign, ast.Delete))
            or (isinstance(node, ast.Expr) and isinstance(node.value, (ast.Call, ast.Await)))
            or (
                isinstance(node, ast.Assign)
                and isinstance(node.targets[0], (ast.Attribute, ast.Subscript))
            )
        ):
            yield Mutant(file, *span(node), "pass")


def executed(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below *node* that are not for types, or for readers, only."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "type_params", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue
            if isinstance(child, ast.JoinedStr) or not isinstance(child, ast.AST):
                continue
            yield child
            yield from executed(child)


def sample(count: int, seed: int, only: str) -> list[Mutant]:
    files = sorted(
        str(path.relative_to(REPOSITORY))
        for folder in FOLDERS
        for path in (REPOSITORY / folder).rglob("*.py")
    )
    everything = [mutant for file in files if only in file for mutant in mutants_of(file)]
    return random.Random(seed).sample(everything, min(count, len(everything)))


class Watch:
    """A plugin of pytest that notes which tests execute which lines, and their seconds.

    Each test is watched anew: some take the trace function away.
    """

    def __init__(self) -> None:
        self.lines: dict[str, list[tuple[float, str]]] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        watch = coverage.Coverage(data_file=None, config_file=False, source=["macfix"])
        began = time.monotonic()
        watch.start()
        try:
            answer = yield
        finally:
            watch.stop()
        seconds = time.monotonic() - began
        data = watch.get_data()
        for path in data.measured_files():
            file = str(Path(path).relative_to(REPOSITORY))
            for line in data.lines(path) or ():
                self.lines.setdefault(f"{file}:{line}", []).append((seconds, item.nodeid))
        return answer


def environment(folder: Path) -> dict[str, str]:
    """That of a run of pytest for the project in *folder*."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MACFIX", "PYTEST"))}
    env |= {"PYTHONPATH": str(folder), "MACFIX_UPSTREAM": str(folder / "nothing")}
    return env | {"PYTHONDONTWRITEBYTECODE": "1"}


def executing_tests(copy: Path, kept: Path) -> dict[str, list[str]]:
    """The unit tests that execute a line (`file:number`) in their own process, quickest first.

    They run in the folder *copy* unless the file *kept* knows them already.
    """
    code = """import json, pytest, sys
from tests.mutation_sample import Watch
watch, quiet = Watch(), ["-q", "-n0", "-p", "no:cacheprovider", "-W", "ignore:No data was"]
if failed := pytest.main([*quiet, "tests/unit"], plugins=[watch]):
    sys.exit(failed)
json.dump(watch.lines, open(sys.argv[1], "w"))"""
    if not kept.exists():
        command = [sys.executable, "-c", code, str(kept)]
        subprocess.run(command, cwd=copy, env=environment(copy), check=True)
    lines = json.loads(kept.read_text())
    return {line: [name for _, name in sorted(tests)] for line, tests in lines.items()}


def first_round(mutant: Mutant, tests: dict[str, list[str]]) -> Iterator[list[str]]:
    """The run of pytest, if any, with the tests that execute the lines of *mutant*."""
    lines = [tests.get(f"{mutant.file}:{line}", []) for line in mutant.lines()]
    if any(lines):
        yield list(dict.fromkeys(name for names in lines for name in names))


def second_round(mutant: Mutant) -> Iterator[list[str]]:
    """The runs with all tests, the likeliest to kill *mutant* first."""
    unit = sorted(
        str(path.relative_to(REPOSITORY)) for path in REPOSITORY.glob("tests/unit/test_*")
    )
    prefixes = next(names for folder, names in NAMED.items() if mutant.file.startswith(folder))
    first = [path for path in unit if Path(path).name.startswith(prefixes)]
    stem = Path(mutant.file).stem.strip("_")
    yield sorted(first, key=lambda path: stem not in path)
    if "MACFIX_UPSTREAM" in os.environ and mutant.file.startswith("macfix/patches/"):
        folder, stem = Path(mutant.file).parent.name, Path(mutant.file).stem
        patches = folder if stem.startswith("_") else f"{folder}-{stem.replace('_', '-')}"
        yield [UPSTREAM, "-k", f"repro_raises and {patches}", "--timeout=600"]
    yield ["tests/e2e", "--timeout=300"]  # the demo takes its time
    yield [path for path in unit if path not in first]


def killer_of(mutant: Mutant, folder: Path, runs: Iterable[list[str]]) -> str:
    """What kills *mutant* in the copy *folder* of the project, or nothing."""
    file = folder / mutant.file
    original = file.read_bytes()
    file.write_bytes(mutant.applied(original))
    try:
        compile(file.read_bytes(), str(file), "exec")
        for run in runs:
            env = environment(folder)
            if run[0] == UPSTREAM:
                env["MACFIX_UPSTREAM"] = os.environ["MACFIX_UPSTREAM"]
                env["MACFIX_HEAVY"] = "full"
            done = subprocess.run(
                [*PYTEST, *run], cwd=folder, env=env, capture_output=True, timeout=PATIENCE
            )
            said = (done.stdout + done.stderr).decode(errors="replace").splitlines()
            missing = any(line.startswith("ERROR: not found") for line in said)
            if done.returncode not in (0, pytest.ExitCode.NO_TESTS_COLLECTED) and not missing:
                failures = [line for line in said if line.startswith(("FAILED", "ERROR"))]
                return (failures or said[-1:] or ["a silent end"])[0]
    except (SyntaxError, subprocess.TimeoutExpired) as error:
        return repr(error)
    finally:
        file.write_bytes(original)
    return ""


def results_in(file: Path) -> dict[int, str]:
    """What is known already: the killer by the number of the mutant, or that it is alive."""
    lines = file.read_text().splitlines() if file.exists() else []
    return {int(line.split()[0]): line.split(": ", 1)[1] for line in lines}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default="", help="a part of the paths of the files to change")
    parser.add_argument("--out", type=Path, help="a folder to keep results in, and to go on from")
    args = parser.parse_args()
    drawn = enumerate(sample(args.count, args.seed, args.only), 1)
    mutants = {number: mutant for number, mutant in drawn if mutant.diff()}
    with tempfile.TemporaryDirectory(prefix="macfix-mutants-") as base:
        out: Path = args.out or Path(base)
        out.mkdir(exist_ok=True)
        results = results_in(out / "results.txt")
        copies: Queue[Path] = Queue()
        for number in range(args.jobs):
            copy = Path(base, str(number))
            shutil.copytree(
                REPOSITORY, copy, ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__")
            )
            copies.put(copy)
        tests = executing_tests(copy, out.resolve() / "lines.json")

        def try_one(number: int, is_first: bool) -> tuple[int, str]:
            mutant, copy = mutants[number], copies.get()
            try:
                runs = first_round(mutant, tests) if is_first else second_round(mutant)
                return number, killer_of(mutant, copy, runs)
            finally:
                copies.put(copy)

        left = [number for number in mutants if number not in results]
        for is_first in (True, False):
            with ThreadPoolExecutor(args.jobs) as pool:
                tries = [pool.submit(try_one, number, is_first) for number in left]
                for done in as_completed(tries):
                    number, killer = done.result()
                    line = f"{number} {mutants[number].file}:{mutants[number].lines()[0]}: "
                    if is_first and not killer:
                        print(f"{mutants[number].diff()}\n{line}lives so far", flush=True)
                        continue
                    results[number] = killer or ALIVE
                    left.remove(number)
                    print(line + results[number], flush=True)
                    with (out / "results.txt").open("a") as file:
                        file.write(f"{line}{results[number]}\n")
    alive = [number for number, killer in sorted(results.items()) if killer == ALIVE]
    killed = len(results) - len(alive)
    print(
        f"{killed} of {len(results)} killed ({killed / max(len(results), 1):.1%}), alive:", *alive
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
