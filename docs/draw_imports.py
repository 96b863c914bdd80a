"""Draws which package of macfix imports which, into architecture.md: `python docs/draw_imports.py`.

`--check` changes nothing, and fails if the drawing is out of date. A test runs that.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent / "macfix"
PAGE = DOCS / "architecture.md"
START, END = "<!-- imports: made by draw_imports.py -->\n", "<!-- /imports -->"
PUBLIC = "public API"


def main(check: bool) -> int:
    text = PAGE.read_text()
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    drawn = before + START + drawing() + END + after
    if not check:
        PAGE.write_text(drawn)
    elif drawn != text:
        print(f"{PAGE.name} is out of date: python docs/draw_imports.py", file=sys.stderr)
        return 1
    return 0


def drawing() -> str:
    """Two drawings: the packages, and the modules of the engine."""
    graph = imports()
    between = {(room_of(a), room_of(b)) for a, others in graph.items() for b in others}
    inside = {
        (short(a), short(b))
        for a, others in graph.items()
        for b in others
        if room_of(a) == room_of(b) == "engine"
    }
    return "\n".join(
        [
            "The packages:",
            "",
            *chart({(a, b) for a, b in between if a != b}),
            "",
            "The modules of `engine/`:",
            "",
            *chart(inside),
            "",
        ]
    )


def chart(arrows: set[tuple[str, str]]) -> list[str]:
    lines = [f'    {mark(a)}["{a}"] --> {mark(b)}["{b}"]' for a, b in sorted(arrows)]
    return ["```mermaid", "flowchart TD", *lines, "```"]


def mark(name: str) -> str:
    return name.replace(" ", "_").replace(".", "_")


def imports() -> dict[str, set[str]]:
    """What each module of macfix imports of macfix, anywhere in it, but not for types alone."""
    paths = {
        name_of(path): path
        for path in sorted(ROOT.rglob("*.py"))
        if not {"replicas", "programs", "site"} & set(path.parts)
    }
    return {
        name: {each for each in imported(path, name) if each in paths} - {name}
        for name, path in paths.items()
    }


def imported(path: Path, name: str) -> Iterator[str]:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*above, *filter(None, [node.module])]) if node.level else node.module
            names = [f"{base}.{alias.name}" for alias in node.names]
            modules = [each for each in names if is_module(each)]
            # `from . import x` needs x; its own package is no arrow
            yield from modules if len(modules) == len(names) else [str(base), *modules]


def walk(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from walk(child)


def is_module(name: str) -> bool:
    place = ROOT.parent.joinpath(*name.split("."))
    return place.with_suffix(".py").exists() or (place / "__init__.py").exists()


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(name: str) -> str:
    parts = name.split(".")[1:]
    if not parts or (len(parts) == 1 and not (ROOT / parts[0]).is_dir()):
        private = bool(parts) and parts[0].startswith("_") and parts[0] != "__main__"
        return "private helpers" if private else PUBLIC
    return parts[0]


def short(name: str) -> str:
    return name.removeprefix("macfix.engine.").removeprefix("macfix.")


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv))
