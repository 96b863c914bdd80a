"""`tractor.ipc._uds` imports `SO_PASSCRED` and `SO_PEERCRED`, which macOS lacks.

Problem:
    The import stands at the module's top: `import tractor` ends in an `ImportError`.

Fix:
    Before the module executes, the names leave the import statement and are bound to None on the
    same line, which is what upstream did later.

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
    for node in list(imports_from(tree, "socket")):
        absent = _linux_names(node)
        if absent and node in tree.body:
            names: list[ast.expr] = [
                ast.Name(alias.asname or alias.name, ast.Store()) for alias in absent
            ]
            to_none = ast.copy_location(ast.Assign(names, ast.Constant(None)), node)
            tree.body.insert(tree.body.index(node) + 1, ast.fix_missing_locations(to_none))
            node.names = [alias for alias in node.names if alias not in absent]
            if not node.names:
                tree.body.remove(node)
    return tree


def _linux_names(node: ast.ImportFrom) -> list[ast.alias]:
    return [alias for alias in node.names if alias.name in LINUX_ONLY]


def repro() -> None:
    import_module("tractor.ipc._uds")
