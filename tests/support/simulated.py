"""Run snippets of Python as programs on a simulated Mac, or on plain Linux for comparison."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import processes
from tests.support.processes import Finished
from tests.support.sandbox import Sandbox
from tests.support.surroundings import REPOSITORY, STARTED_WITH

PRELUDE = """
import json as _json, os as _os, sys as _sys

def tell(**what):
    "Print what the test is to see; later calls add to earlier ones."
    print("@@ " + _json.dumps(what), flush=True)

def outcome(call, *args, **kwargs):
    "The errno's name (else the exception's), or 'ok'."
    import errno
    try:
        call(*args, **kwargs)
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
    except Exception as error:
        return type(error).__name__
    return "ok"
"""
START = "import macfix.simulate; macfix.simulate.start({spec!r})\n"

SITE = REPOSITORY / "macfix" / "activation" / "site"


@dataclass(frozen=True)
class Simulated:
    """Runs snippets in a sandbox; each has its own interpreter and an own current folder.

    A snippet may call `tell(key=value)` for everything that the test is to see, and
    `outcome(function, *args)` to name how a call ended.
    """

    sandbox: Sandbox

    @property
    def segments(self) -> Path:
        """The folder in which this test's segments lie."""
        return self.sandbox.root / "s"

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of a snippet."""
        kept = {name: STARTED_WITH[name] for name in ("PATH", "LANG") if name in STARTED_WITH}
        return {
            **kept,
            **self.sandbox.variables(),
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONDONTWRITEBYTECODE": "1",
            "MACFIX_SIMULATE_DIR": str(self.segments),
            **more,
        }

    def finish(
        self, code: str, *, python: str = sys.executable, timeout: float = 60, **more: str
    ) -> Finished:
        """Run `code` as it is to its end, however that is."""
        with tempfile.TemporaryDirectory(dir=self.sandbox.root) as folder:
            return processes.run(
                [python, "-c", code],
                env=self.environment(**more),
                cwd=Path(folder),
                timeout=timeout,
            )

    def mac(self, snippet: str, spec: str = "1", **more: str) -> dict[str, Any]:
        """Run `snippet` on a Mac of kind `spec`; return what it told.

        Raises AssertionError with its output if it fails.
        """
        return told(self.finish(START.format(spec=spec) + PRELUDE + snippet, **more))

    def linux(self, snippet: str, **more: str) -> dict[str, Any]:
        """Run `snippet` on plain Linux; return what it told."""
        return told(self.finish(PRELUDE + snippet, **more))

    def tree(self, program: str, spec: str = "1", **more: str) -> dict[str, Any]:
        """Run `program` as a file whose children, of every kind, come up on the same Mac."""
        environment = self.environment(MACFIX_SIMULATE=spec, MACFIX="off", **more)
        environment["PYTHONPATH"] = os.pathsep.join([str(SITE), environment["PYTHONPATH"]])
        with tempfile.TemporaryDirectory(dir=self.sandbox.root) as folder:
            file = Path(folder, "program.py")
            file.write_text(PRELUDE + program)
            return told(
                processes.run(
                    [sys.executable, str(file)], env=environment, cwd=Path(folder), timeout=120
                )
            )


def told(finished: Finished) -> dict[str, Any]:
    """Return what a snippet told; AssertionError with all of its output if it failed."""
    assert finished.returncode == 0, str(finished)
    what: dict[str, Any] = {}
    for line in finished.stdout.split("\n"):
        if line.startswith("@@ "):
            what |= json.loads(line[3:])
    return what
