"""What macfix costs: a start, the runner, and importing the real tractor; beside its peers.

    python tests/benchmarks/bench_startup.py [--runs N] [--upstream FOLDER] [--python PYTHON]
                                             [--packages FOLDER] [--table FILE]

Temporary virtual environments see the packages of PYTHON (this one unless given) through a `.pth`
file: one without macfix, one with a copy of it in which `macfix enable` was run, and one more with
a copy that takes this platform for a Mac. Every row is measured in pairs with its baseline, which
is the same start in the environment without macfix, the one first and the other in turns: CPU
seconds of the child (median of the ratios, the interval that has the true median in it 95 times of
100, and the middle half of the ratios), and instructions counted by `valgrind --tool=callgrind`
where there is one. Single ratios scatter widely on a virtual machine: a median that is to be known
to the percent takes some hundred pairs. Peers that PYTHON does not have are skipped, and named:
opentelemetry-distro, opentelemetry-instrumentation, ddtrace, gevent, wrapt, pluggy.

The copy for a Mac has three lines changed: `MACFIX_FORCE` with the names of all patches would have
macfix check the names, and load all patches for that, which a Mac does not pay for. The limits are
those of the project: a start has 1.06 times the instructions, an import of tractor 1.25 times
(warm) and 1.50 times (cold), and the runner adds 0.1 seconds.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

PASS = ("-c", "pass")
TRACTOR = ("-c", "import tractor")

MAC_LINES = (
    (
        "engine/config.py",
        '        return self.enabled and (sys.platform == "darwin" or bool(self.force))',
    ),
    ("engine/patch.py", 'MACOS = frozenset({"darwin"})'),
    (
        "activation/site/_macfix_autoload.py",
        '    if sys.platform != "darwin" and "MACFIX_FORCE" not in environ:',
    ),
)
"""Where macfix asks for the platform."""

START, WARM, COLD = 1.06, 1.25, 1.50
"""How many times the instructions at most."""

RUNNER = 0.1
"""Seconds that the runner adds at most."""


@dataclass(frozen=True)
class Start:
    """A command with its environment; `cold` forgets macfix's cache before each run."""

    words: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cold: Path | None = None

    def prepare(self) -> None:
        if self.cold is not None:
            shutil.rmtree(self.cold, ignore_errors=True)

    def run(self, before: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        self.prepare()
        kept = ("PATH", "HOME", "LANG")
        env = {name: os.environ[name] for name in kept if name in os.environ}
        return subprocess.run(
            [*before, *self.words],
            env=env | {"PYTHONHASHSEED": "0"} | dict(self.env),
            cwd="/",  # not where the repository's own macfix would be imported from
            capture_output=True,
            text=True,
            check=True,
        )

    def seconds(self) -> float:
        """CPU seconds, of user and system, of one run."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.run()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def instructions(self) -> int | None:
        """Instructions of one run, or None where they cannot be counted."""
        if shutil.which("valgrind") is None:
            return None
        count = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
        count.append("--trace-children=yes")  # some peers execute the program anew
        found = re.findall(r"Collected : (\d+)", self.run(count).stderr)
        return sum(map(int, found)) or None


@dataclass(frozen=True)
class Row:
    """One thing that is measured, against the same without it."""

    name: str
    base: Start
    subject: Start
    limit: float | None = None


@dataclass(frozen=True)
class Environment:
    """A virtual environment to start interpreters in."""

    folder: Path
    upstream: Path | None

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def start(
        self, words: tuple[str, ...], env: Mapping[str, str] | None = None, *, cold: bool = False
    ) -> Start:
        cache = self.folder / "cache"
        runtime = {"MACFIX_CACHE_DIR": str(cache), "XDG_RUNTIME_DIR": str(self.folder)}
        if self.upstream is not None and words == TRACTOR:
            runtime["PYTHONPATH"] = str(self.upstream)
        command = (str(self.python), *words)
        return Start(command, runtime | dict(env or {}), cache if cold else None)

    def has(self, module: str) -> bool:
        find = f"import importlib.util as u, sys; sys.exit(u.find_spec({module!r}) is None)"
        return subprocess.run([self.python, "-c", find], capture_output=True).returncode == 0

    def enable(self, *, as_on_a_mac: bool = False) -> None:
        """Put a copy of macfix, with its bytecode, into this environment and enable it."""
        packages = packages_of(self.python)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / "macfix", packages / "macfix", ignore=ignored)
        for file, line in MAC_LINES if as_on_a_mac else ():
            path = packages / "macfix" / file
            text = path.read_text()
            if text.count(line) != 1:
                raise SystemExit(f"{path} does not have this line once: {line}")
            path.write_text(text.replace(line, line.replace("darwin", sys.platform)))
        subprocess.run([self.python, "-m", "compileall", "-q", packages / "macfix"], check=True)
        subprocess.run(
            [self.python, "-m", "macfix", "enable"], cwd="/", check=True, capture_output=True
        )


def make_environment(
    folder: Path, python: Path, more: Sequence[Path], upstream: Path | None
) -> Environment:
    """Make an environment that has the packages of *python*."""
    subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True)
    made = Environment(folder, upstream)
    # A .pth file, as any environment with an editable install has one: what the interpreter pays
    # for the first .pth file (a codec, from 3.13 on) is then no cost of macfix's.
    lines = map(str, [packages_of(python), *more])
    (packages_of(made.python) / "packages.pth").write_text("\n".join(lines) + "\n")
    return made


def packages_of(python: Path) -> Path:
    """The `site-packages` of *python*."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(subprocess.check_output([python, "-c", code], text=True).strip())


def check_that_it_patches(mac: Environment) -> None:
    """End the benchmark if what is to be measured does not happen."""
    code = (
        "import tractor, macfix; print(sum(e.state == 'applied' for e in macfix.status().entries))"
    )
    start = mac.start(TRACTOR)
    count = replace(start, words=(*start.words[:-1], code)).run().stdout.strip()
    if count == "0":
        raise SystemExit(
            "tractor was imported and no patch was applied: there is nothing to measure"
        )


def rows_of_peers(bare: Environment) -> list[Row]:
    """What others cost."""
    plain = bare.start(PASS)
    rows = []
    for name, module, words in (
        ("import pluggy, wrapt", "wrapt", ("-c", "import pluggy, wrapt")),
        ("gevent.monkey", "gevent", ("-c", "import gevent.monkey; gevent.monkey.patch_all()")),
    ):
        if bare.has(module):
            rows.append(Row(name, plain, bare.start(words)))
        else:
            print(f"skipped: {name}: {module} is not installed", file=sys.stderr)
    for name, module, main in (
        ("ddtrace-run", "ddtrace", "ddtrace.commands.ddtrace_run"),
        (
            "opentelemetry-instrument",
            "opentelemetry.instrumentation",
            "opentelemetry.instrumentation.auto_instrumentation",
        ),
    ):
        if not _has_parent(bare, module):
            print(f"skipped: {name}: {module} is not installed", file=sys.stderr)
            continue
        run = f"import sys; sys.argv = ['x', sys.executable, '-c', 'pass']; import {main} as m; "
        run += "getattr(m, 'main', None) and m.main() or m.run()"
        quiet = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}
        quiet |= {"OTEL_LOGS_EXPORTER": "none", "DD_TRACE_ENABLED": "false"}
        quiet |= {"DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false"}
        rows.append(Row(name, plain, bare.start(("-c", run), quiet)))
    return rows


def _has_parent(bare: Environment, module: str) -> bool:
    try:
        return bare.has(module.partition(".")[0]) and bare.has(module)
    except subprocess.SubprocessError:
        return False


def rows_of_macfix(bare: Environment, enabled: Environment, mac: Environment) -> list[Row]:
    """What macfix costs on Linux, and on a Mac."""
    plain = bare.start(PASS)
    rows = [
        Row("start on Linux, no target", plain, enabled.start(PASS), START),
        Row("start on a Mac, no target", plain, mac.start(PASS), START),
    ]
    if bare.upstream is None:
        print("skipped: import tractor: no --upstream FOLDER", file=sys.stderr)
        return rows
    check_that_it_patches(mac)
    alone = bare.start(TRACTOR)
    warm, cold = mac.start(TRACTOR), mac.start(TRACTOR, cold=True)
    rows.append(Row("import tractor, warm", alone, warm, WARM))
    rows.append(Row("import tractor, cold", alone, cold, COLD))
    return rows


def seconds_of_the_runner(bare: Environment, mac: Environment, runs: int) -> str:
    """What the runner adds to a program, by the clock on the wall: the median of all pairs."""
    alone, by_runner = bare.start(PASS), mac.start(("-m", "macfix", *PASS))
    added = []
    for _ in range(runs):
        began = time.perf_counter()
        alone.run()
        between = time.perf_counter()
        by_runner.run()
        added.append(time.perf_counter() - between - (between - began))
    return f"The runner adds {statistics.median(added):.3f} s to a program (limit {RUNNER} s)."


def measure(row: Row, runs: int) -> tuple[list[float], float | None]:
    """Ratios of CPU time, sorted, one for each pair, and the ratio of instructions."""
    for start in (row.base, row.subject):
        start.run()  # what is kept from now on: bytecode, the files in memory, macfix's cache
    ratios = []
    for number in range(runs):
        if number % 2:
            base = row.base.seconds()
            ratios.append(row.subject.seconds() / base)
        else:
            subject = row.subject.seconds()
            ratios.append(subject / row.base.seconds())
    base_count, count = row.base.instructions(), row.subject.instructions()
    return sorted(ratios), count / base_count if count and base_count else None


def interval(ratios: Sequence[float]) -> tuple[float, float]:
    """Where the true median is, 95 times of 100; *ratios* are sorted, and independent.

    How many of them lie below the median is binomial: the interval is between two of them.
    """
    reach = 1.96 * len(ratios) ** 0.5 / 2
    low, high = int(len(ratios) / 2 - reach), int(len(ratios) / 2 + reach)
    return ratios[max(low, 0)], ratios[min(high, len(ratios) - 1)]


def line(row: Row, ratios: list[float], instructions: float | None) -> str:
    quarters = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    low, high = interval(ratios)
    counted = "not counted" if instructions is None else f"{instructions:.3f}"
    return (
        f"| {row.name} | {statistics.median(ratios):.3f} | {low:.3f} to {high:.3f} | "
        f"{quarters[0]:.3f} to {quarters[2]:.3f} | {counted} | {row.limit or '-'} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=21, help="pairs of CPU times for each row")
    parser.add_argument("--python", type=Path, default=Path(sys.executable))
    parser.add_argument(
        "--packages", type=Path, action="append", default=[], help="one more site-packages"
    )
    parser.add_argument("--upstream", type=Path, help="a folder with the package tractor in it")
    parser.add_argument("--table", type=Path, help="where to write the table as well")
    options = parser.parse_args()
    lines = [
        f"| what | CPU time, {options.runs} pairs | 95 % | middle half | instructions | at most |",
        "|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory(prefix="macfix-bench-") as folder:
        os.chmod(folder, 0o700)
        bare, enabled, mac = (
            make_environment(
                Path(folder) / name, options.python, options.packages, options.upstream
            )
            for name in ("bare", "enabled", "mac")
        )
        enabled.enable()
        mac.enable(as_on_a_mac=True)
        for row in rows_of_macfix(bare, enabled, mac) + rows_of_peers(bare):
            lines.append(line(row, *measure(row, options.runs)))
            print(lines[-1], flush=True)
        lines += ["", seconds_of_the_runner(bare, mac, options.runs)]
    if options.table:
        options.table.write_text("\n".join(lines) + "\n")
    print("\n" + "\n".join(lines))


if __name__ == "__main__":
    main()
