"""``macfix doctor``: everything about this environment that matters to macfix."""

from __future__ import annotations

import argparse
import os
import platform
import site
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from macfix import __version__, simulate
from macfix.activation import activate, environment
from macfix.activation.locate import script_folders
from macfix.darwin.segments import place, reaping
from macfix.darwin.sockets import runtime_dir
from macfix.engine.config import Config
from macfix.engine.locating import locate

from . import shm
from .output import facts

DISTRIBUTIONS = ("wrapt", "pluggy", "trio", "numpy", "tractor", "piker")

Facts = Iterable[tuple[str, str]]


def main(args: argparse.Namespace) -> int:
    """Print the report; what cannot be found out is reported as such, so the answer is 0."""
    print(f"macfix {__version__}")
    for title, section in SECTIONS.items():
        print(f"\n{title}")
        print(facts(_safely(section)))
    return 0


def _safely(section: Callable[[], Facts]) -> Facts:
    try:
        return list(section())
    except Exception as error:
        return [("not known", f"{type(error).__name__}: {error}")]


def _python() -> Facts:
    yield "version", sys.version.replace("\n", " ")
    yield "executable", sys.executable
    yield "prefix", sys.prefix
    if sys.prefix != sys.base_prefix:
        yield "of a virtual environment of", sys.base_prefix
    names = ("isolated", "ignore_environment", "no_site", "no_user_site", "safe_path")
    yield "options", " ".join(name for name in names if getattr(sys.flags, name, False)) or "none"
    yield "sys.path", "\n".join(sys.path)
    yield "scripts", "\n".join(script_folders())


def _machine() -> Facts:
    simulated = simulate.active()
    yield "platform", platform.platform()
    yield "machine", platform.machine()
    yield "simulated", f"yes: {simulated}" if simulated else "no"


def _packages() -> Facts:
    yield "macfix", f"{__version__} in {environment.ROOT}"
    for name in DISTRIBUTIONS:
        spec = locate(name)
        if spec is None:
            yield name, "not installed"
        else:
            where = spec.origin or ", ".join(spec.submodule_search_locations or [])
            yield name, f"{_version(name)} in {where}"


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "(without metadata)"


def _activation() -> Facts:
    activate.activate(children=False)
    status = activate.status()
    yield "of programs it runs", f"{'yes' if status.active else 'no'}: {status.reason}"
    on_path = environment.SITE in os.environ.get("PYTHONPATH", "").split(os.pathsep)
    yield "PYTHONPATH (children)", "yes" if on_path else "no"
    yield "sitecustomize", _file_of("sitecustomize")
    yield "usercustomize", _file_of("usercustomize")
    yield ".pth files", "\n".join(map(str, _pth_files())) or "none of macfix"
    yield "import hooks", "\n".join(repr(finder) for finder in sys.meta_path)


def _file_of(module: str) -> str:
    return getattr(sys.modules.get(module), "__file__", None) or "none"


def _pth_files() -> Iterator[Path]:
    for folder in dict.fromkeys([*site.getsitepackages(), site.getusersitepackages()]):
        for file in sorted(Path(folder).glob("*.pth")):
            if "macfix" in file.name or "macfix" in file.read_text(errors="replace"):
                yield file


def _plugins() -> Facts:
    plugins = activate.load_plugins()
    patches_of: dict[str, list[str]] = {}
    for patch in plugins.all_patches():
        kind = "built in" if patch.plugin in activate.BUILTIN else patch.plugin
        patches_of.setdefault(kind, []).append(patch.name)
    for plugin, patches in patches_of.items():
        yield plugin, ", ".join(patches)
    for problem in plugins.problems:
        yield f"problem: {problem.where}", problem.message


def _settings() -> Facts:
    names = sorted(name for name in os.environ if name.startswith("MACFIX"))
    names += [name for name in ("PYTHONPATH", "XDG_RUNTIME_DIR", "TMPDIR") if name in os.environ]
    for name in names:
        yield name, os.environ[name] or "(empty)"
    if not names:
        yield "environment", "nothing that matters to macfix is set"
    for text in Config.from_environ().complaints():
        yield "problem", text


def _folders() -> Facts:
    yield "cache", _folder(Config.from_environ().cache)
    yield "runtime (tractor)", _folder(str(runtime_dir.BASE / f"tractor-{os.getuid()}"))


def _folder(path: str | None) -> str:
    if path is None:
        return "none may be used"
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return f"{path} (not there yet)"
    return f"{path} (mode {mode & 0o7777:04o})"


def _shared_memory() -> Facts:
    try:
        path = place.location()
        found = shm.findings_in(path)
    except (place.UnavailableError, OSError) as error:
        yield "registry", f"cannot be used, so nothing is freed by itself: {error}"
        return
    yield "registry", path if os.path.exists(path) else f"{path} (not there yet)"
    for state, advice in (
        (reaping.ALIVE, ""),
        (reaping.LEAKED, ": `macfix shm reap` frees that"),
        (reaping.UNCLEAR, ": `macfix shm ls` says why"),
    ):
        there = any(one.state == state for one in found)
        yield state, shm.total(found, state) + (advice if there else "")


def _limits() -> Facts:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    yield "open files", f"{soft} of at most {'any number' if hard == unlimited else hard}"


SECTIONS: dict[str, Callable[[], Facts]] = {
    "Python": _python,
    "machine": _machine,
    "packages": _packages,
    "activation": _activation,
    "plugins and their patches": _plugins,
    "settings": _settings,
    "folders": _folders,
    "shared memory": _shared_memory,
    "limits": _limits,
}
