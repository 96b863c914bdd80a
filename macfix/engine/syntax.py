"""Small questions about a module's tree, for ``diagnose()`` and ``rewrite()``.

Every question takes a tree and answers about its structure alone: comments, layout and line
breaks never count, annotations and names do.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TypeVar

Node = TypeVar("Node", bound=ast.AST)
Function = ast.FunctionDef | ast.AsyncFunctionDef
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def nodes(tree: ast.AST, kind: type[Node]) -> Iterator[Node]:
    """Yield the nodes of `kind` anywhere in `tree`."""
    return (node for node in ast.walk(tree) if isinstance(node, kind))


def definition(tree: ast.AST, qualname: str) -> Function | ast.ClassDef | None:
    """Return the function or class `qualname` (`name` or `Class.name`), or None."""
    found: ast.AST | None = tree
    for name in qualname.split("."):
        body = getattr(found, "body", ())
        definitions = (node for node in body if isinstance(node, _DEFINITIONS))
        found = next((node for node in definitions if node.name == name), None)
    return found if isinstance(found, _DEFINITIONS) else None


def function(tree: ast.AST, qualname: str) -> Function | None:
    """Return the function or method `qualname`, or None."""
    found = definition(tree, qualname)
    return None if isinstance(found, ast.ClassDef) else found


def calls(node: ast.AST, name: str) -> list[ast.Call]:
    """Return the calls of `name(...)` and of `anything.name(...)` in `node`, in source order."""
    found = [call for call in nodes(node, ast.Call) if _last_name(call.func) == name]
    return sorted(found, key=lambda call: (call.lineno, call.col_offset))


def mentions(node: ast.AST, name: str) -> bool:
    """Say whether `node` uses the identifier `name`, bare or as an attribute."""
    return any(_last_name(part) == name for part in ast.walk(node))


def has_constant(node: ast.AST, value: object) -> bool:
    """Say whether the literal `value` stands anywhere in `node`, as a whole."""
    constants = (part.value for part in nodes(node, ast.Constant))
    return any(type(found) is type(value) and found == value for found in constants)


def is_code(node: ast.AST, code: str) -> bool:
    """Say whether the expression `node` is what `code` is, however both are laid out."""
    return ast.dump(node) == ast.dump(ast.parse(code, mode="eval").body)


def contains(node: ast.AST, code: str) -> bool:
    """Say whether the expression `code` stands anywhere in `node`."""
    wanted = ast.parse(code, mode="eval").body
    kind, text = type(wanted), ast.dump(wanted)
    return any(type(part) is kind and ast.dump(part) == text for part in ast.walk(node))


def around(tree: ast.AST, node: ast.AST) -> list[ast.AST]:
    """Return what `node` stands in, innermost first, `tree` last; empty if it is not in `tree`."""
    for child in ast.iter_child_nodes(tree):
        if child is node:
            return [tree]
        if inner := around(child, node):
            return [*inner, tree]
    return []


def imports_from(tree: ast.AST, module: str) -> Iterator[ast.ImportFrom]:
    """Yield the `from module import ...` statements anywhere in `tree`."""
    for node in nodes(tree, ast.ImportFrom):
        if node.module == module and node.level == 0:
            yield node


def guarded_by_except(tree: ast.AST, node: ast.AST) -> bool:
    """Say whether `node` stands in the body of a `try` that has an `except`."""
    inner = node
    for outer in around(tree, node):
        if isinstance(outer, ast.Try) and outer.handlers and inner in outer.body:
            return True
        inner = outer
    return False


def _last_name(node: ast.AST) -> str | None:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None
