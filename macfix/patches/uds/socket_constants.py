"""`tractor.ipc._uds` imports `SO_PASSCRED` and `SO_PEERCRED`, which macOS lacks.

Problem:
    `tractor.ipc._uds` begins with `from socket import SO_PASSCRED, SO_PEERCRED`. Both are Linux
    only, so on macOS `import tractor` ends in an `ImportError`.

Fix:
    The names leave the import statement and are bound to None on the same line, which is what
    upstream did later. It is done before the module executes, because it never gets further.

Repro:
    `import tractor.ipc._uds`

Upstream:
    https://github.com/goodboy/tractor/pull/406 (commit 93b9a6cd, 2026-03-08)

Remove when:
    No tractor before 2026-03-08 is in use any more.
"""

from __future__ import annotations

import ast
from importlib import import_module

from macfix import Diagnosis, Source, needed, not_needed, unknown
from macfix.engine.syntax import around, imports_from

LINUX_ONLY = frozenset({"SO_PASSCRED", "SO_PEERCRED", "SCM_CREDENTIALS"})


def diagnose(source: Source) -> Diagnosis:
    imports = [node for node in imports_from(source.tree, "socket") if _linux_names(node)]
    if not imports:
        return not_needed("it imports no name from socket that macOS lacks")
    bare = [node for node in imports if node in source.tree.body]
    if bare:
        names = ", ".join(alias.name for node in bare for alias in _linux_names(node))
        return needed(f"line {bare[0].lineno} imports {names} from socket on every platform")
    if all(_guarded(source.tree, node) for node in imports):
        return not_needed("it imports the Linux names of socket on Linux only")
    return unknown("it imports Linux names of socket, under a condition that is not known")


def _guarded(tree: ast.Module, node: ast.ImportFrom) -> bool:
    return any(
        isinstance(outer, ast.Try)
        or (isinstance(outer, ast.If) and ast.unparse(outer.test) == "sys.platform == 'linux'")
        for outer in around(tree, node)
    )


def rewrite(tree: ast.Module) -> ast.Module:
    imports = list(imports_from(tree, "socket"))
    tree.body = [
        new
        for node in tree.body
        for new in (_without_linux_names(node) if node in imports else [node])
    ]
    return tree


def _without_linux_names(node: ast.stmt) -> list[ast.stmt]:
    assert isinstance(node, ast.ImportFrom)
    absent = _linux_names(node)
    if not absent:
        return [node]
    kept = [alias for alias in node.names if alias not in absent]
    to_none = ast.Assign(
        targets=[ast.Name(alias.asname or alias.name, ast.Store()) for alias in absent],
        value=ast.Constant(None),
    )
    statements: list[ast.stmt] = [ast.fix_missing_locations(ast.copy_location(to_none, node))]
    if kept:
        statements.insert(0, ast.copy_location(ast.ImportFrom("socket", kept, 0), node))
    return statements


def _linux_names(node: ast.ImportFrom) -> list[ast.alias]:
    return [alias for alias in node.names if alias.name in LINUX_ONLY]


def repro() -> None:
    import_module("tractor.ipc._uds")
