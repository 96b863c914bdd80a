"""Import every module of the packages named on the command line; print those that fail.

Output: one line a failure, `<module> <exception type>: <first line of its message>`; then how many
modules there were. Paths are left out, so that outputs can be compared.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import sys
from collections.abc import Iterator
from pathlib import Path

STARTS_SOMETHING = {"__main__", "_child"}
"""Last parts of the names of modules that are programs: importing them would run those."""


def modules_of(package: str) -> Iterator[str]:
    """Yield the names of a package and of all in it, by its files: nothing is imported for it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"there is no package {package} on sys.path")
    root = Path(spec.submodule_search_locations[0])
    for file in sorted(root.rglob("*.py")):
        parts = [package, *file.relative_to(root).with_suffix("").parts]
        if parts[-1] == "__init__":
            del parts[-1]
        if parts[-1] not in STARTS_SOMETHING:
            yield ".".join(parts)


def failure(module: str) -> str | None:
    """Import `module`; return what went wrong in one line, or None."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            importlib.import_module(module)
    except BaseException as error:
        message = (str(error).splitlines() or [""])[0].partition(" (/")[0]
        return f"{module} {type(error).__name__}: {message}"
    return None


def main() -> None:
    names = [name for package in sys.argv[1:] for name in modules_of(package)]
    failures = [found for found in map(failure, names) if found]
    print(*failures, sep="\n")
    print(f"{len(names)} modules")


if __name__ == "__main__":
    main()
