"""Real Python environments with macfix, a small upstream and a patch for it in them."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import textwrap
import venv
from dataclasses import dataclass
from pathlib import Path

from tests.support.plugin import ADD_41, lay_out_plugin
from tests.support.surroundings import REPOSITORY, STARTED_WITH

PATIENCE = 300

UPSTREAM = "answer = 1\n"

ON = {"MACFIX_FORCE": "own-thing"}
"""Makes macfix active on any platform, with the one patch that is installed here."""

LOOK = (
    "import sys, tractor.thing; "
    "print(tractor.thing.answer, sum(hasattr(f, 'is_macfix') for f in sys.meta_path))"
)
"""Prints `42 1` where macfix is active once, `1 0` where it is not there."""


class CannotBuildError(RuntimeError):
    """The wheel cannot be built here (no build backend and no network)."""


def build_wheel(into: Path) -> Path:
    """Build this project's wheel. Raises CannotBuildError."""
    isolation = ["--no-build-isolation"] if importlib.util.find_spec("hatchling") else []
    words = ["wheel", "--quiet", "--no-deps", *isolation, "-w", into, REPOSITORY]
    done = pip(*words, check=False)
    if done.returncode:
        raise CannotBuildError(done.stdout + done.stderr)
    return next(into.glob("*.whl"))


def pip(*words: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the pip of the Python that runs the tests."""
    return subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, words)],
        env=dict(STARTED_WITH),
        capture_output=True,
        text=True,
        check=check,
        timeout=PATIENCE,
    )


@dataclass(frozen=True)
class Environment:
    """A virtual environment of its own.

    Attributes:
        folder: where it lies.
    """

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Environment:
        """Make one, without pip, with the small upstream, its patch and macfix's dependencies."""
        venv.create(folder, with_pip=False, symlinks=True)
        made = cls(folder)
        lay_out_upstream(made.packages)
        lay_out_dependencies(made.packages)
        return made

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def packages(self) -> Path:
        """Its site-packages."""
        version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        return self.folder / "lib" / version / "site-packages"

    @property
    def pth(self) -> Path:
        """What `macfix enable` writes, and has executed at every start."""
        return self.packages / "macfix.pth"

    @property
    def autoload(self) -> Path:
        """What that one imports."""
        return self.packages / "_macfix_autoload.py"

    def install(self, *words: str | Path) -> None:
        """Install with pip from outside, from local files only."""
        pip("--python", self.python, "install", "--quiet", "--no-deps", "--no-index", *words)

    def run(self, *words: str | Path, cwd: Path | None = None, **env: str) -> str:
        """Run its interpreter; the answer is all it printed, which must be on standard output."""
        done = run(self.python, *words, cwd=cwd or self.folder, **env)
        assert (done.returncode, done.stderr) == (0, ""), f"{words}: {done.stdout}{done.stderr}"
        return done.stdout.strip()


def like(installed: Environment, folder: Path) -> Environment:
    """Make an environment with the macfix that *installed* has."""
    made = Environment.make(folder)
    for path in installed.packages.glob("macfix*"):
        shutil.copytree(path, made.packages / path.name)
    return made


def run(
    python: Path | str, *words: str | Path, cwd: Path, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run *python* with a bare environment and *env* on top."""
    kept = ("PATH", "HOME", "TMPDIR", "XDG_CACHE_HOME", "LANG")
    bare = {name: os.environ[name] for name in kept if name in os.environ}
    return subprocess.run(
        [str(python), *map(str, words)],
        env=bare | env,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def lay_out_upstream(folder: Path) -> None:
    """Put the small upstream, and a plugin with the patch `own-thing` for it, into *folder*."""
    (folder / "tractor").mkdir(parents=True)
    (folder / "tractor" / "__init__.py").touch()
    (folder / "tractor" / "thing.py").write_text(UPSTREAM)
    lay_out_plugin(folder, "own", {"thing": ADD_41}, {"tractor.thing": ["thing"]})


def lay_out_dependencies(folder: Path) -> None:
    """Copy wrapt and pluggy into *folder*, so that no network is needed."""
    lay_out(folder, "wrapt", "pluggy")


def lay_out(folder: Path, *names: str) -> None:
    """Copy packages and modules that are installed for the tests into *folder*."""
    for name in names:
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.origin is not None, f"{name} is not installed"
        if spec.submodule_search_locations is None:
            shutil.copy(spec.origin, folder)
        else:
            shutil.copytree(Path(spec.origin).parent, folder / name, dirs_exist_ok=True)


def lay_out_macfix(folder: Path) -> None:
    """Copy the package macfix into *folder*, without bytecode."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "macfix", folder / "macfix", ignore=ignored)


def program(folder: Path, text: str) -> Path:
    """Write a program into *folder*."""
    file = folder / "program.py"
    file.write_text(textwrap.dedent(text))
    return file
