"""What an index costs to read and write, and a segment to create, beside upstream's own code.

    python tests/benchmarks/bench_shm.py [--tractor FOLDER] [--python PYTHON] [--rounds N] [--json]

FOLDER is a checkout of tractor that has `tractor/ipc/_shm.py`; by default one that this machine
has (`MACFIX_UPSTREAM`, or macfix's cache), at the last commit that macfix knows. PYTHON has
tractor's dependencies. Each of N rounds asks, in processes of their own and one after the other:

- upstream's code on Linux, where an index is a segment of 4 bytes;
- upstream's code on a Mac, where it is a page of 16384 (or 4096) bytes;
- the same with macfix;
- creating segments with and without the journal, in turns, in one process.

Of the times of all rounds the least counts for each. The exit code is 1 if reading is not 100
times as fast as upstream on the Mac's page of 16384 bytes, or writing not 5 times, or either is
slower than upstream on Linux, or the journal costs a creation more than 100 us.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SITE = REPOSITORY / "macfix" / "activation" / "site"

READ_TIMES, WRITE_TIMES = 100, 5
"""How many times as fast as upstream an index must be on a page of 16384 bytes."""
JOURNAL_US = 100.0
"""Microseconds that the journal may add to the creation of a segment."""

INDEX = """
import importlib, json, os, sys, timeit
shm = importlib.import_module("tractor.ipc._shm")
segment = shm.SharedMemory(name=f"bench{os.getpid()}", create=True, size=4)
index = shm.SharedInt(shm=segment)
index.value = 4711
length = len(segment.buf)
def least(statement, number):
    times = timeit.repeat(statement, globals={"index": index}, number=number, repeat=7)
    return min(times) / number * 1e9
answer = {"read": least("index.value", 5000), "write": least("index.value = 4711", 5000)}
assert index.value == 4711
segment.close()
segment.unlink()
print(json.dumps(answer | {"bytes": length}))
"""

CREATE = """
import json, os, statistics, time
from macfix.darwin import journal
from macfix.darwin.shared_memory import SharedMemory
kept, none = journal.of_this_process(), journal.Journal.none()
times = {True: [], False: []}
for number in range(400):
    for with_journal in (True, False):
        journal._current = kept if with_journal else none
        name = f"piker.brokerd[{os.getpid()}].market{number}.simx.hist_{with_journal}"
        began = time.perf_counter()
        segment = SharedMemory(name, create=True, size=4096, track=False)
        times[with_journal].append(time.perf_counter() - began)
        segment.unlink()
        segment.close()
journal._current = kept
middle = {key: statistics.median(values[20:]) * 1e6 for key, values in times.items()}
print(json.dumps({"with": middle[True], "without": middle[False]}))
"""

PAGES = ("16384", "4096")


def main() -> int:
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="macfix-bench-", dir="/tmp") as folder:
        tractor = options.tractor or take_tractor(Path(folder))
        bench = Bench(options.python, tractor, Path(folder))
        least: dict[str, dict[str, float]] = {}
        for _ in range(options.rounds):
            for name, answer in bench.round().items():
                known = least.setdefault(name, answer)
                least[name] = {key: min(known[key], answer[key]) for key in answer}
    findings = judge(least)
    if options.json:
        print(json.dumps({"least": least, "findings": findings}, indent=2))
    else:
        show(least, findings)
    return 0 if all(holds for holds, _ in findings.values()) else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tractor", type=Path, help="a checkout of tractor")
    parser.add_argument("--python", default=sys.executable, help="has tractor's dependencies")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def take_tractor(folder: Path) -> Path:
    sys.path.insert(0, str(REPOSITORY))
    from tests.support import upstream

    return upstream.take("tractor", upstream.TRACTORS["HEAD"], folder)


class Bench:
    """Asks processes in surroundings of their own.

    Attributes:
        python: the interpreter.
        tractor: the checkout of tractor.
        folder: where they may write.
    """

    def __init__(self, python: str, tractor: Path, folder: Path) -> None:
        self.python, self.tractor, self.folder = python, tractor, folder

    def round(self) -> dict[str, dict[str, float]]:
        found = {"upstream on Linux": self.ask(INDEX)}
        for page in PAGES:
            spec = f"page={page}"
            found[f"upstream on a Mac, {page}"] = self.ask(INDEX, spec, MACFIX="off")
            found[f"macfix on a Mac, {page}"] = self.ask(INDEX, spec)
        found["creation"] = self.ask(CREATE)
        return found

    def ask(self, program: str, spec: str | None = None, **more: str) -> dict[str, float]:
        path = [str(self.tractor), str(REPOSITORY)]
        env = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        env |= {"HOME": str(self.folder), "MACFIX_SIMULATE_DIR": str(self.folder / "segments")}
        env["XDG_RUNTIME_DIR"] = str(self.folder)
        if spec is not None:
            del env["XDG_RUNTIME_DIR"]
            path.insert(0, str(SITE))
            env["MACFIX_SIMULATE"] = spec
        env["PYTHONPATH"] = os.pathsep.join(path)
        done = subprocess.run(
            [self.python, "-c", program], env=env | more, capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(f"a process of the benchmark failed:\n{done.stderr}")
        answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return answer


def judge(least: dict[str, dict[str, float]]) -> dict[str, tuple[bool, str]]:
    """Return whether each promise holds, and its numbers."""
    linux, page = least["upstream on Linux"], least["upstream on a Mac, 16384"]
    found: dict[str, tuple[bool, str]] = {}
    ours = least["macfix on a Mac, 16384"]
    for act, times in (("read", READ_TIMES), ("write", WRITE_TIMES)):
        ratio = page[act] / ours[act]
        found[f"index {act}: {times} times as fast as on a page"] = (
            ratio >= times,
            f"{ratio:.0f} times ({page[act]:.0f} ns and {ours[act]:.0f} ns)",
        )
        found[f"index {act}: not slower than upstream on Linux"] = (
            ours[act] <= linux[act],
            f"{linux[act]:.0f} ns there, {ours[act]:.0f} ns with macfix",
        )
    creation = least["creation"]
    more = creation["with"] - creation["without"]
    found[f"journal: at most {JOURNAL_US:.0f} us of a creation"] = (
        more <= JOURNAL_US,
        f"{more:.1f} us ({creation['without']:.1f} us without it)",
    )
    return found


def show(least: dict[str, dict[str, float]], findings: dict[str, tuple[bool, str]]) -> None:
    print(f"{'':34}{'bytes':>8}{'read, ns':>12}{'write, ns':>12}")
    for name, answer in least.items():
        if "read" in answer:
            numbers = f"{answer['bytes']:8.0f}{answer['read']:12.0f}{answer['write']:12.0f}"
            print(f"{name:34}{numbers}")
    print()
    for promise, (holds, numbers) in findings.items():
        print(f"{'ok  ' if holds else 'MISSED'}  {promise}: {numbers}")


if __name__ == "__main__":
    sys.exit(main())
