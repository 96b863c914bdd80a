"""What macfix costs: an interpreter's start, and importing the real tractor; beside its peers.

    python tests/benchmarks/bench_startup.py [--runs N] [--upstream FOLDER] [--python PYTHON]
                                             [--packages FOLDER] [--table FILE]

A temporary virtual environment sees the packages of PYTHON (this one unless given) through a
`.pth` file, and gets a copy of macfix that `macfix enable` is run in. Every row is measured
interleaved with its own baseline, which is the same start without macfix: CPU seconds of the child
(median of the ratios, and the middle half of them), and instructions counted by
`valgrind --tool=callgrind` where there is one. Peers that PYTHON does not have are skipped, and
named: opentelemetry-distro, opentelemetry-instrumentation, ddtrace, gevent, wrapt, pluggy.

On Linux, `MACFIX_FORCE` with the names of all patches makes macfix do what it does on a Mac, and
the `.pth` file of a Mac, which asks for nothing, is put in the place of Linux's.
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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

PASS = ("-c", "pass")
TRACTOR = ("-c", "import tractor")

AS_ON_A_MAC = """
import os
from macfix.activation import pth
folder = pth.folder()
with open(os.path.join(folder, pth.NAME), "wb") as file:
    file.write(pth.content(folder, "darwin"))
"""


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
    """One thing that is measured, against the same without it; `mac` with a Mac's `.pth` file."""

    name: str
    base: Start
    subject: Start
    cpu_limit: float | None = None
    instruction_limit: float | None = None
    mac: bool = False


@dataclass(frozen=True)
class Bench:
    """The environment that is measured in."""

    folder: Path
    python: Path
    upstream: Path | None

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    def start(self, *words: str, cold: bool = False, **env: str) -> Start:
        runtime = {"MACFIX_CACHE_DIR": str(self.cache), "XDG_RUNTIME_DIR": str(self.folder)}
        if self.upstream is not None and words == TRACTOR:
            env["PYTHONPATH"] = str(self.upstream)
        return Start((str(self.python), *words), runtime | env, self.cache if cold else None)

    def has(self, module: str) -> bool:
        find = f"import importlib.util as u, sys; sys.exit(u.find_spec({module!r}) is None)"
        return subprocess.run([self.python, "-c", find], capture_output=True).returncode == 0

    def switch(self, command: str) -> None:
        subprocess.run([self.python, "-m", "macfix", command], check=True, capture_output=True)

    def enable(self, mac: bool) -> None:
        self.switch("enable")
        if mac:
            subprocess.run([self.python, "-c", AS_ON_A_MAC], check=True)


def make_bench(folder: Path, python: Path, more: Sequence[Path], upstream: Path | None) -> Bench:
    """Make the environment: the packages of *python*, and a copy of macfix with its bytecode."""
    code = "import sys; print(*sys.version_info[:2], sep='.')"
    version = subprocess.check_output([python, "-c", code], text=True).strip()
    subprocess.run([python, "-m", "venv", "--without-pip", folder / "env"], check=True)
    packages = folder / "env" / "lib" / f"python{version}" / "site-packages"
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    others = subprocess.check_output([python, "-c", code], text=True).strip()
    # A .pth file, as any environment with an editable install has one: what the interpreter pays
    # for the first .pth file (a codec, from 3.13 on) is then no cost of macfix's.
    (packages / "packages.pth").write_text("\n".join([others, *map(str, more)]) + "\n")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "macfix", packages / "macfix", ignore=ignored)
    bench = Bench(folder, folder / "env" / "bin" / "python", upstream)
    subprocess.run([bench.python, "-m", "compileall", "-q", packages / "macfix"], check=True)
    return bench


def names_of_patches(bench: Bench) -> str:
    code = "from macfix.patches._contents import CONTENTS\nprint(','.join(CONTENTS))"
    return subprocess.check_output([bench.python, "-c", code], text=True).strip()


def rows_without(bench: Bench) -> list[Row]:
    """What is measured while macfix is not enabled: the peers."""
    plain = bench.start(*PASS)
    rows = []
    for name, module, words in (
        ("import wrapt, pluggy", "wrapt", ("-c", "import wrapt, pluggy")),
        ("gevent.monkey", "gevent", ("-c", "import gevent.monkey; gevent.monkey.patch_all()")),
    ):
        if bench.has(module):
            rows.append(Row(name, plain, bench.start(*words)))
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
        if not _has_parent(bench, module):
            print(f"skipped: {name}: {module} is not installed", file=sys.stderr)
            continue
        run = f"import sys; sys.argv = ['x', sys.executable, '-c', 'pass']; import {main} as m; "
        run += "getattr(m, 'main', None) and m.main() or m.run()"
        quiet = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}
        quiet |= {"OTEL_LOGS_EXPORTER": "none", "DD_TRACE_ENABLED": "false"}
        quiet |= {"DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false"}
        rows.append(Row(name, plain, bench.start("-c", run, **quiet)))
    return rows


def _has_parent(bench: Bench, module: str) -> bool:
    try:
        return bench.has(module.partition(".")[0]) and bench.has(module)
    except subprocess.SubprocessError:
        return False


def rows_with(bench: Bench, patches: str) -> list[Row]:
    """What is measured while macfix is enabled; `-S`-less baselines have it shut out by absence."""
    mac = {"MACFIX_FORCE": patches}
    plain = bench.start(*PASS)
    rows = [
        Row("start on Linux, no target", plain, bench.start(*PASS), 1.05, 1.02),
        Row("start on a Mac, no target", plain, bench.start(*PASS), 1.05, 1.02, mac=True),
    ]
    if bench.upstream is None:
        print("skipped: import tractor: no --upstream FOLDER", file=sys.stderr)
        return rows
    bare = bench.start(*TRACTOR)
    warm, cold = bench.start(*TRACTOR, **mac), bench.start(*TRACTOR, cold=True, **mac)
    warm.run()
    rows.append(Row("import tractor, warm", bare, warm, 1.05, None, mac=True))
    rows.append(Row("import tractor, cold", bare, cold, 1.15, None, mac=True))
    return rows


def measure(bench: Bench, row: Row, runs: int, switches: bool) -> tuple[list[float], float | None]:
    """Ratios of CPU time, one for each interleaved pair, and the ratio of instructions."""

    def side(start: Start, with_macfix: bool, instructions: bool) -> float:
        if switches and with_macfix:
            bench.enable(row.mac)
        elif switches:
            bench.switch("disable")
        value = start.instructions() if instructions else start.seconds()
        return float(value or 0)

    side(row.base, False, False)
    side(row.subject, True, False)  # both warm: bytecode, file cache
    ratios = [side(row.subject, True, False) / side(row.base, False, False) for _ in range(runs)]
    base = side(row.base, False, True)
    return sorted(ratios), side(row.subject, True, True) / base if base else None


def line(row: Row, ratios: list[float], instructions: float | None) -> str:
    quarters = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    limits = [
        f"{limit} {what}"
        for limit, what in ((row.cpu_limit, "CPU"), (row.instruction_limit, "instructions"))
        if limit is not None
    ]
    counted = "not counted" if instructions is None else f"{instructions:.3f}"
    return (
        f"| {row.name} | {statistics.median(ratios):.3f} | "
        f"{quarters[0]:.3f} to {quarters[2]:.3f} | {counted} | {', '.join(limits) or 'peer'} |"
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
        "| what | CPU time | middle half | instructions | limit |",
        "|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory(prefix="macfix-bench-") as folder:
        os.chmod(folder, 0o700)
        bench = make_bench(Path(folder), options.python, options.packages, options.upstream)
        patches = names_of_patches(bench)
        for rows, switches in (
            (rows_with(bench, patches), True),
            (rows_without(bench), False),
        ):
            for row in rows:
                ratios, instructions = measure(bench, row, options.runs, switches)
                lines.append(line(row, ratios, instructions))
                print(lines[-1], flush=True)
            bench.switch("disable")
    if options.table:
        options.table.write_text("\n".join(lines) + "\n")
    print("\n" + "\n".join(lines))


if __name__ == "__main__":
    main()
