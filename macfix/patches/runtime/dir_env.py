"""tractor cannot be imported without `XDG_RUNTIME_DIR`, which macOS does not set.

Problem:
    `tractor._state` has `_rtdir = Path(os.environ['XDG_RUNTIME_DIR'])` at its top: a `KeyError`.

Fix:
    Where the variable is not set, the expression, rewritten before the module executes, gives
    macfix's runtime directory. Where sockets really go is the business of `runtime-dir`.

Repro:
    `import tractor._state`

Upstream:
    https://github.com/goodboy/tractor/pull/406 (commit e7cefba6, 2026-03-08)

Remove when:
    No tractor before 2026-03-08 is in use any more.
"""

from __future__ import annotations

import ast

from macfix import Diagnosis, Source, needed, not_needed, unknown
from macfix.engine.syntax import calls, has_constant, is_code
from macfix.patches._modules import first_module

VARIABLE = "XDG_RUNTIME_DIR"
LOOKUP = f"os.environ[{VARIABLE!r}]"
INSTEAD = (
    f"(os.environ.get({VARIABLE!r}) or __import__('macfix.darwin.sockets.runtime_dir', "
    "fromlist=['runtime_dir']).runtime_dir())"
)


def diagnose(source: Source) -> Diagnosis:
    if not has_constant(source.tree, VARIABLE):
        return not_needed(f"it does not look for {VARIABLE}")
    lookups = (
        node
        for statement in _assignments(source.tree)
        for node in ast.walk(statement)
        if isinstance(node, ast.expr) and is_code(node, LOOKUP)
    )
    if lookup := next(lookups, None):
        return needed(f"line {lookup.lineno} wants {VARIABLE} while the module is imported")
    if any(has_constant(call, VARIABLE) for call in calls(source.tree, "get")):
        return not_needed(f"it can do without {VARIABLE}")
    return unknown(f"what it does with {VARIABLE} is not known")


def _assignments(tree: ast.Module) -> list[ast.stmt]:
    return [node for node in tree.body if isinstance(node, (ast.Assign, ast.AnnAssign))]


class _Replace(ast.NodeTransformer):
    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        if not is_code(node, LOOKUP):
            return self.generic_visit(node)
        new = ast.parse(INSTEAD, mode="eval").body
        for part in ast.walk(new):
            ast.copy_location(part, node)
        return new


def rewrite(tree: ast.Module) -> ast.Module:
    for statement in _assignments(tree):
        _Replace().visit(statement)
    return tree


def repro() -> None:
    first_module("tractor.runtime._state", "tractor._state")
