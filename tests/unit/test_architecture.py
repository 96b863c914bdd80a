"""The house as docs/architecture.md draws it: imports go one way, and the drawing is the code's."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys

from tests.support.surroundings import REPOSITORY

SCRIPT = REPOSITORY / "docs" / "draw_imports.py"

ALLOWED = {
    "cli": {
        "activation",
        "darwin",
        "engine",
        "patches",
        "private helpers",
        "public API",
        "simulate",
    },
    "activation": {"engine", "patches", "private helpers", "public API", "simulate"},
    "patches": {"darwin", "engine", "private helpers", "public API"},
    "engine": {"private helpers", "public API"},
    "darwin": {"private helpers"},
    "simulate": {"private helpers"},
    "public API": {"activation", "cli", "engine"},
    "private helpers": set(),
}
"""Which room may import which."""


IMPORTS = (
    "import json, runpy, sys; graph = runpy.run_path(sys.argv[1])['imports']();"
    "print(json.dumps({name: sorted(others) for name, others in graph.items()}))"
)


def imports() -> dict[str, list[str]]:
    """What each module imports, parsed by a fresh interpreter.

    In one whose parser a test has exhausted, Python 3.11 may fail to parse sound sources.
    """
    words = [sys.executable, "-c", IMPORTS, str(SCRIPT)]
    graph: dict[str, list[str]] = json.loads(subprocess.check_output(words))
    return graph


def test_the_drawing_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_no_room_imports_one_above_it() -> None:
    room_of = runpy.run_path(str(SCRIPT))["room_of"]
    wrong = [
        f"{importer} imports {imported}"
        for importer, others in imports().items()
        for imported in others
        if room_of(importer) != room_of(imported)
        and room_of(imported) not in ALLOWED[room_of(importer)]
    ]
    assert wrong == []


def test_no_module_imports_itself_through_others() -> None:
    graph = imports()
    for start in graph:
        seen: set[str] = set()
        ahead = [other for other in graph[start] if not start.startswith(other + ".")]
        while ahead:
            module = ahead.pop()
            assert module != start, f"{start} imports itself through others"
            if module not in seen:
                seen.add(module)
                ahead += [o for o in graph.get(module, ()) if not module.startswith(o + ".")]
