"""``macfix doctor``: whether macfix works here, and what to do where it does not."""

from __future__ import annotations

import argparse
import json
import os
import platform
import pwd
import re
import shlex
import site
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder
from importlib.metadata import PackageNotFoundError, distribution
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from macfix import __version__, simulate
from macfix._files import check_writable, world_writable, write_atomically
from macfix.activation import activate, enabling, environment, runner
from macfix.darwin import facts, limits
from macfix.darwin.segments import place, reaping
from macfix.darwin.sockets import names, runtime_dir
from macfix.darwin.sysctl import sysctl_int
from macfix.engine.config import Config
from macfix.engine.locating import locate
from macfix.engine.survey import survey
from macfix.patches import PACKAGES
from macfix.patches.piker import docker, tls_roots

from . import conformance, output, shm, status

WARNING, BROKEN = 1, 2
LEVELS = {0: "fine", WARNING: "warning", BROKEN: "broken"}
LEFT_OUT = (
    "Left out here: the names of users and of this machine, and the paths of homes (~). Look "
    "through it before you publish it."
)

_DEFAULTS = (BuiltinImporter, FrozenImporter, PathFinder)
"""The finders that Python itself puts on ``sys.meta_path``."""
_LOOK = "import sys; print('up' * any(hasattr(each, 'is_macfix') for each in sys.meta_path))"


class Problem(NamedTuple):
    """Something that is wrong, how much, and a command line for a shell that puts it right.

    Where nobody can put it right here, the command shows more of it, or what to report.
    """

    level: int
    what: str
    fix: str


class Detail(NamedTuple):
    """What only reports, JSON and -v have, for no screen has room for it."""

    name: str
    text: str


Row = Detail | tuple[str, str]
Found = Iterator[Problem | Row]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``macfix doctor``."""
    parser.epilog = "exit codes: 0 it works, 1 it works with warnings, 2 it does not work"
    parser.add_argument("--json", action="store_true", help="print JSON, with all details")
    told = "write to FILE, or print, what can be put into a public issue: without names and homes"
    parser.add_argument("--report", metavar="FILE", nargs="?", const="-", help=told)


def main(args: argparse.Namespace) -> int:
    """Print what was found, the worst first; the answer is how bad it is (0, 1 or 2)."""
    found = [one for check in CHECKS for one in _safely(check, args)]
    # a set, as two checks may come upon the same: a folder that cannot be written to
    problems = sorted({one for one in found if isinstance(one, Problem)}, reverse=True)
    worst = max((problem.level for problem in problems), default=0)
    rows = [one for one in found if not isinstance(one, Problem)]
    if args.json:
        named = [one._asdict() | {"level": LEVELS[one.level]} for one in problems]
        data = {"macfix": __version__, "verdict": LEVELS[worst], "problems": named, "found": rows}
        data |= {"note": LEFT_OUT} if args.report else {}
        text = json.dumps(data, ensure_ascii=False)
    else:
        verbosity = 1 if args.report else args.verbosity
        rows = [one for one in rows if verbosity >= isinstance(one, Detail)]
        text = _screen(problems, rows, sys.maxsize if args.report else None)
        text = text if problems or verbosity >= 0 else ""
        text = f"{LEFT_OUT}\n\n{text}" if args.report else text
    if args.report:
        text = anonymous(text)
    if args.json:
        text = json.dumps(json.loads(text), indent=2)
    if args.report in (None, "-"):
        print(text, end="\n" * bool(text))
    else:
        _write(args.report, f"{text}\n".encode(errors="backslashreplace"))
        print(f"{args.report}: {LEFT_OUT}")
    return worst


def _write(file: str, content: bytes) -> None:
    """Write all of the report or nothing; raises `OSError` with the file's name."""
    try:
        if os.path.exists(file) and not os.path.isfile(file):  # a device or a pipe
            Path(file).write_bytes(content)
        else:
            write_atomically(os.path.abspath(file), content, 0o644)
    except OSError as error:
        raise OSError(error.errno, error.strerror, file) from None


def _screen(problems: list[Problem], rows: list[Row], width: int | None) -> str:
    """All that is wrong, each with what to do, and then the rows."""
    counts = Counter(LEVELS[problem.level] for problem in problems)
    said = ", ".join(f"{count} {level}" for level, count in counts.items())
    said += "s" * (counts[LEVELS[WARNING]] > 1)
    parts = [f"macfix {__version__}: {said or 'works here'}"]
    for level, what, fix in problems:
        text = output.facts([(LEVELS[level], what)], width)
        marked = LEVELS[level] if width else output.mark(LEVELS[level])
        parts.append(f"{text.replace(LEVELS[level], marked, 1)}\n           $ {fix}")
    if rows:
        parts.append(output.facts([(row[0], row[1]) for row in rows], width))
    return "\n\n".join(parts)


def _macfix(args: argparse.Namespace, command: str = "doctor --report") -> str:
    """The command line of a command of macfix's: on the simulated Mac, if this is one."""
    words = [output.this_macfix(), command]
    if args.simulate:
        is_usual = args.simulate == str(simulate.Spec())
        words.insert(1, "--simulate" if is_usual else f"--simulate={args.simulate}")
    return " ".join(words)


def _safely(check: Callable[[argparse.Namespace], Found], args: argparse.Namespace) -> Found:
    try:
        yield from check(args)
    except Exception as error:
        yield Problem(WARNING, f"{check.__name__}: {type(error).__name__}: {error}", _macfix(args))


def anonymous(text: str) -> str:
    """*text* without the names of users and of this machine, and without the paths of homes."""
    homes, users = {os.path.expanduser("~")}, {os.environ.get("USER"), os.environ.get("SUDO_USER")}
    with suppress(KeyError):
        entry = pwd.getpwuid(os.getuid())
        homes |= {entry.pw_dir}
        users |= {entry.pw_name, entry.pw_gecos.partition(",")[0]}
    for home in sorted({*homes, *map(os.path.realpath, homes)}, key=len, reverse=True):
        if len(home) > 1:  # it may be "/", or not set
            text = re.sub(rf"{re.escape(home.rstrip('/'))}(?![\w.-])", "~", text)
    text = re.sub(r"(/Users|/home|/var/folders/\w\w)/[^/\s:'\"]+", r"\1/<user>", text)
    host = platform.node()
    for kind, called in (("user", users), ("host", {host, host.partition(".")[0]})):
        for name in sorted(filter(None, called - {"root", "localhost"}), key=len, reverse=True):
            text = re.sub(rf"(?i)(?<![a-z0-9]){re.escape(name)}(?![a-z0-9])", f"<{kind}>", text)
    return text


# -- what is looked at -----------------------------------------------------------------------------


def _system(_: argparse.Namespace) -> Found:
    chip = {"arm64": "Apple silicon", "x86_64": "Intel"}.get(platform.machine(), "")
    if sysctl_int("sysctl.proc_translated") == 1:
        chip = "Apple silicon, but an Intel Python under Rosetta"
    name = f"macOS {platform.mac_ver()[0]}" if sys.platform == "darwin" else ""
    yield "system", ", ".join(filter(None, (name, conformance.kernel(), chip)))
    base = os.path.realpath(sys.base_prefix)  # which tells Homebrew, python.org, conda, uv, pyenv
    yield "Python", f"{platform.python_version()} of {base}: {sys.executable}"
    yield Detail("sys.path", "\n".join(sys.path))


def _packages(_: argparse.Namespace) -> Found:
    there = {}
    for name in ("tractor", "piker", "macfix", "wrapt", "pluggy", "trio", "numpy"):
        if (spec := locate(name)) is not None:
            there[name] = spec.origin or next(iter(spec.submodule_search_locations or []), "")
        text = _version(name, there[name]) if name in there else "not installed"
        yield (name, text) if name in ("tractor", "piker") else Detail(name, text)
    if not {"tractor", "piker"} & there.keys():
        fix = f"{output.PYTHON} -m pip install git+https://github.com/goodboy/tractor"
        yield Problem(WARNING, f"neither tractor nor piker is installed in {sys.prefix}", fix)


def _version(name: str, file: str) -> str:
    """Version, commit as far as it is known, and place of what is installed as *name*."""
    version, commit = "(without metadata)", ""
    with suppress(PackageNotFoundError):
        installed = distribution(name)
        version = installed.version
        origin = json.loads(installed.read_text("direct_url.json") or "{}")
        commit = origin.get("vcs_info", {}).get("commit_id", "")
    # not by git: where Apple's tools are not installed, calling it opens a window
    git = Path(file).parent.parent / ".git"
    with suppress(OSError):
        head = (git / "HEAD").read_text().strip()
        commit = (git / head[5:]).read_text() if head.startswith("ref: ") else head
    return f"{version}{' of commit ' * bool(commit)}{commit[:12]} in {os.path.dirname(file)}"


def _activation(args: argparse.Namespace) -> Found:
    config = Config.from_environ()
    enabled = enabling.written() if config.enabled else []
    for text in enabling.problems() if enabled else []:
        yield Problem(WARNING, text, f"{output.this_macfix()} enable")
    if not config.enabled:
        yield Problem(WARNING, "MACFIX=off: nothing is patched", "unset MACFIX")
    elif config.wanted:
        # not with the user's PYTHONPATH: a command of macfix's own runs nothing from there
        env = os.environ | environment.variables({}, simulate=args.simulate)
        words = [sys.executable, *runner.CommandLine.parse(sys.orig_argv).flags, "-c", _LOOK]
        child = subprocess.run(words, cwd="/", env=env, capture_output=True, text=True, timeout=60)
        if child.stdout != "up\n":
            what = f"a program that macfix runs comes up without it: {child.stderr.strip()}"
            yield Problem(BROKEN, what, f"{output.this_macfix()} enable")
    everywhere = f"enabled by {enabled[0]}" if enabled else "by `python -m macfix PROGRAM` only"
    yield "activation", everywhere if config.wanted else f"{everywhere}; {activate.why()}"


def _patches(args: argparse.Namespace) -> Found:
    plugins = activate.load_plugins()
    plugins.check(Config.from_environ())
    yield Detail("plugins", ", ".join(plugins.installed))
    if sys.platform == "darwin":
        report = status.probe(args.simulate)
        if report.status is None:
            report.problems["macfix"] = report.errors or "it does not answer"
        told: dict[str, Any] = report.status or {"entries": [], "problems": []}
        entries = told["entries"]
        wrong = [(one["where"], one["message"]) for one in told["problems"]]
        reasons: dict[str, list[str]] = {}
        for target, traceback in report.problems.items():
            reasons.setdefault(traceback.strip().splitlines()[-1], []).append(target)
        for reason, targets in reasons.items():
            what = f"{status.grouped(targets)} cannot be imported: {reason}"
            yield Problem(BROKEN, what, _macfix(args, "status -v"))
        if report.lacking:
            yield "missing", status.missing_packages(report)
    else:
        entries = [vars(row) for row in survey(plugins, PACKAGES)]
        wrong = [(one.where, one.message) for one in plugins.problems]
    for where, message in wrong:
        variable = re.search(r"MACFIX_\w+", message)
        block = (
            f'export MACFIX_BLOCK="$MACFIX_BLOCK,{where}"'
            if where.isidentifier()
            else _macfix(args)
        )
        yield Problem(WARNING, f"{where}: {message}", f"unset {variable[0]}" if variable else block)
    for one in entries:
        text = f"{one['target']}: {one['state']}: {one['reason']}"
        yield Detail(one["patch"], text)
        if one["state"] not in status.GOOD:
            level = BROKEN if one["state"] == "failed" else WARNING
            yield Problem(level, f"patch {one['patch']}: {text}", _macfix(args))
    patches = status.by_state(entries)
    not_there = {"pending": "of what is not installed"}
    counts = [f"{len(names)} {not_there.get(state, state)}" for state, names in patches.items()]
    yield "patches", ", ".join(counts) or "none"


def _sockets(_: argparse.Namespace) -> Found:
    folder = runtime_dir.BASE / f"tractor-{os.getuid()}"
    try:
        mode = runtime_dir.check(folder)
    except OSError as error:
        why, fix = str(error.strerror).rsplit(": ", 1)
        yield Problem(BROKEN, f"{folder}: {why}", fix)
        mode = "refused"
    longest = max((len(os.fsencode(path)) for path in folder.glob("*")), default=0)
    room = f"room for names of {names.room_in(folder)} bytes, the longest path has {longest} of 103"
    yield "sockets", f"{folder} ({mode}): {room}"


def _open_files(_: argparse.Namespace) -> Found:
    import resource

    soft, allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0], limits.allowed_open_files()
    yield "open files", f"{soft}, which the patches raise to {max(soft, allowed)}"
    if allowed < 1024:  # a chart opens some hundred
        user = shlex.quote(pwd.getpwuid(os.getuid()).pw_name)
        fix = f"sudo sh -c 'ulimit -n {limits.OPEN_MAX} && exec su {user}'"
        yield Problem(WARNING, f"a process may have no more than {allowed} files open", fix)


def _segments(args: argparse.Namespace) -> Found:
    try:
        path = place.location()
        found = shm.findings_in(path)
    except (place.UnavailableError, OSError) as error:
        yield "segments", f"no registry, so nothing is freed by itself: {error}"
        if not isinstance(error, place.NotWantedError):
            yield Problem(WARNING, str(error), 'export MACFIX_STATE_DIR="$(mktemp -d)"')
        return
    states = (reaping.ALIVE, reaping.LEAKED, reaping.UNCLEAR)
    totals = {state: shm.total(found, state) for state in states}
    yield "segments", "; ".join(f"{state}: {text}" for state, text in totals.items())
    yield Detail("registry", path)
    for state, fix in ((reaping.LEAKED, "shm reap"), (reaping.UNCLEAR, "shm ls")):
        if any(one.state == state for one in found):
            yield Problem(WARNING, f"{state}: {totals[state]}", _macfix(args, fix))


def _folders(_: argparse.Namespace) -> Found:
    user, home = int(os.environ.get("SUDO_UID", os.getuid())), os.path.expanduser("~")
    settings = "Library/Application Support" if sys.platform == "darwin" else ".config"
    kept = {"MACFIX_CACHE_DIR": Config.from_environ().cache, "MACFIX_STATE_DIR": place.folder()}
    for folder in filter(None, (*kept.values(), f"{home}/{settings}/piker")):
        # in a folder that all users can write to, the files of others are none of root's
        if os.path.exists(folder) and not world_writable(folder):
            files = [Path(folder), *islice(Path(folder).rglob("*"), 10_000)]
            for foreign in [each for each in files if each.lstat().st_uid != user][:1]:
                what = f"{foreign} belongs to user {foreign.lstat().st_uid}, not to {user}"
                yield Problem(WARNING, what, f"sudo chown -R {user} {shlex.quote(folder)}")
    for variable, wanted in kept.items():
        try:
            check_writable(wanted or "/tmp")
        except OSError as error:
            yield Problem(WARNING, str(error.strerror), f'export {variable}="$(mktemp -d)"')


def _kernel(args: argparse.Namespace) -> Found:
    if sys.platform != "darwin":
        return
    verdicts = [(fact, conformance.verdict(fact)) for fact in facts.facts()]
    for fact, verdict in verdicts:
        yield Detail(verdict, conformance.sentence(fact))
    differ = sum(verdict == conformance.DIFFERS for _, verdict in verdicts)
    yield "kernel", (said := f"{differ} of {len(verdicts)} facts about XNU differ")
    if differ:
        yield Problem(WARNING, f"kernel: {said}", _macfix(args, "conformance"))


def _neighbours(_: argparse.Namespace) -> Found:
    foreign = [one for one in sys.meta_path if one not in _DEFAULTS and "macfix" not in repr(one)]
    kinds = [each if isinstance(each, type) else type(each) for each in foreign]
    hooks = [f"{kind.__module__}.{kind.__qualname__}" for kind in kinds]
    yield "import hooks", "\n".join(hooks) or "Python's and macfix's only"
    for name in ("sitecustomize", "usercustomize"):
        yield Detail(name, getattr(sys.modules.get(name), "__file__", None) or "none")
    for folder in {*site.getsitepackages(), site.getusersitepackages()}:
        files = Path(folder).glob("*.pth") if os.access(folder, os.R_OK | os.X_OK) else ()
        for file in files:
            if enabling.flags_of(str(file)) & enabling.HIDDEN:
                fix = f"chflags nohidden {shlex.quote(str(file))}"
                yield Problem(WARNING, f"{file} is hidden, so Python leaves it out", fix)
    roots = tls_roots.own_roots()
    if roots is None and sys.platform == "darwin" and (other := tls_roots.other_roots()):
        roots = f"{other}, by the patch piker-tls-roots"
    yield "TLS roots", roots or "none"
    if roots is None:
        certifi = f'export SSL_CERT_FILE="$({output.PYTHON} -m certifi)"'
        what = "no root certificates, so no broker can be reached by https or wss"
        yield Problem(WARNING, what, f"{output.PYTHON} -m pip install certifi && {certifi}")
    sockets = (docker.USUAL, *(os.path.expanduser(f"~/{path}") for path in docker.IN_HOME))
    there = next(filter(os.path.exists, sockets), "no socket, which only some brokers need")
    yield "docker", there
    settings = [name for name in os.environ if name.startswith(("MACFIX", "PYTHON"))]
    for name in [*settings, "XDG_RUNTIME_DIR", "TMPDIR"]:
        yield Detail(name, os.environ.get(name, "not set"))


CHECKS = (
    *(_system, _packages, _activation, _patches, _sockets, _open_files, _segments, _folders),
    *(_kernel, _neighbours),
)
