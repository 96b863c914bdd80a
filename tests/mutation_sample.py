"""Do the tests notice? A random sample of small changes to macfix's own code, and what kills each.

    python tests/mutation_sample.py [--count 200] [--seed 1] [--jobs 2] [--only TEXT]

Mutants of `engine/`, `patches/` and `darwin/` are drawn by the seed: a condition negated, a
comparison turned around, `and` for `or`, a `not` left out, a number or a truth value changed, a
call, an assignment, a `raise` or a returned value left out. Each is tried in a copy of the project:
first the tests that are named after its folder, then all unit tests, then the end-to-end tests.
What survives is printed as a diff, to be read: it may be equivalent to the original.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import NamedTuple

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
    "macfix/darwin": ("test_darwin", "test_patch"),
}
"""Which unit tests are named after which folder; the first that fits."""

PATIENCE = 900.0
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


def steps_for(file: str) -> Iterator[list[str]]:
    """The runs of pytest that a mutant of *file* has to survive, the likeliest to kill it first."""
    unit = sorted(
        str(path.relative_to(REPOSITORY)) for path in REPOSITORY.glob("tests/unit/test_*")
    )
    prefixes = next(names for folder, names in NAMED.items() if file.startswith(folder))
    first = [path for path in unit if Path(path).name.startswith(prefixes)]
    stem = Path(file).stem.strip("_")
    yield sorted(first, key=lambda path: stem not in path)
    yield [path for path in unit if path not in first]
    yield ["tests/e2e"]


def survives(mutant: Mutant, folder: Path) -> bool:
    """Try *mutant* in the copy *folder* of the project."""
    file = folder / mutant.file
    original = file.read_bytes()
    file.write_bytes(mutant.applied(original))
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MACFIX", "PYTEST"))}
    env |= {"PYTHONPATH": str(folder), "MACFIX_UPSTREAM": str(folder / "nothing")}
    env |= {"PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n0", "-p", "no:cacheprovider"]
    try:
        compile(file.read_bytes(), str(file), "exec")
        for paths in steps_for(mutant.file):
            done = subprocess.run(
                [*command, *paths], cwd=folder, env=env, capture_output=True, timeout=PATIENCE
            )
            if done.returncode:
                return False
    except (SyntaxError, subprocess.TimeoutExpired):
        return False
    finally:
        file.write_bytes(original)
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default="", help="a part of the paths of the files to change")
    args = parser.parse_args()
    mutants = sample(args.count, args.seed, args.only)
    alive: list[Mutant] = []
    with tempfile.TemporaryDirectory(prefix="macfix-mutants-") as base:
        copies: Queue[Path] = Queue()
        for number in range(args.jobs):
            copy = Path(base, str(number))
            shutil.copytree(
                REPOSITORY, copy, ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__")
            )
            copies.put(copy)

        def try_one(mutant: Mutant) -> bool:
            copy = copies.get()
            try:
                return survives(mutant, copy)
            finally:
                copies.put(copy)

        with ThreadPoolExecutor(args.jobs) as pool:
            for number, (mutant, alive_now) in enumerate(
                zip(mutants, pool.map(try_one, mutants), strict=True), 1
            ):
                if alive_now:
                    alive.append(mutant)
                    print(mutant.diff(), flush=True)
                print(f"{number} of {len(mutants)}: {len(alive)} alive", flush=True)
    killed = len(mutants) - len(alive)
    print(f"{killed} of {len(mutants)} killed ({killed / max(len(mutants), 1):.1%})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
