"""Small questions about a module's tree, for `needed()` and `rewrite()`.

Every question takes a tree and answers about its structure alone: comments, layout and line
breaks never count, annotations and names do.

Patches that tractor still needs import this where they ask: a warm import asks nothing.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from macfix.engine import Source

Function = ast.FunctionDef | ast.AsyncFunctionDef
_Definition = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def walk(node: ast.AST) -> list[ast.AST]:
    """Return `node` and everything in it, as `ast.walk` does in more than twice the time."""
    found = [node]
    for part in found:  # which grows meanwhile
        for name in part._fields:
            child = getattr(part, name, None)
            if isinstance(child, ast.AST):
                found.append(child)
            elif type(child) is list:
                found += [item for item in child if isinstance(item, ast.AST)]
    return found


def definition(tree: ast.AST, qualname: str) -> Function | ast.ClassDef | None:
    """Return the function or class `qualname` (`name` or `Class.name`), or None."""
    found: ast.AST | None = tree
    for name in qualname.split("."):
        found = next(
            (
                node
                for node in getattr(found, "body", ())
                if isinstance(node, _Definition) and node.name == name
            ),
            None,
        )
    return found if isinstance(found, _Definition) else None


def function(tree: ast.AST, qualname: str) -> Function | None:
    """Return the function or method `qualname`, or None."""
    found = definition(tree, qualname)
    return None if isinstance(found, ast.ClassDef) else found


def function_in(source: Source, qualname: str) -> Function | None:
    """Return `function(source.tree, qualname)` of `name` or `Class.name`, without its decorators.

    Where the text leaves no doubt about where the function lies, that part alone is parsed, which
    is a fraction of the work in a large module. A part that is cut off in the wrong place, in the
    middle of a string for instance, does not parse; then the whole is.
    """
    if qualname not in source.parts:
        owner, _, name = qualname.rpartition(".")
        source.parts[qualname] = _parsed_alone(source.text, owner, name)
    return source.parts[qualname] or function(source.tree, qualname)


_NO_DEEPER = {"": r"\n[^\s#)\]}]", "    ": r"\n {0,4}[^\s#)\]}]"}
"""Where something ends that is indented like this."""


def _parsed_alone(text: str, owner: str, name: str) -> Function | None:
    text, indent = f"\n{text}", "    " if owner else ""
    first, last = _class_in(text, owner) if owner else (0, len(text))
    heads = (f"\n{indent}def {name}(", f"\n{indent}async def {name}(")
    if sum(text.count(head, first, last) for head in heads) != 1:
        return None
    start = max(text.find(head, first, last) for head in heads)
    if any(text.count(quotes, 0, start) % 2 for quotes in ('"""', "'''")):
        return None  # it may be in a string
    body = start + len(heads[0])
    end = re.search(_NO_DEEPER[indent], text[body:])
    part = text[start + 1 : body + end.start() if end else None]
    above = text.count("\n", 0, start)
    opening = "\n" * (above - 1) + f"class {owner}:\n" if owner else "\n" * above
    try:
        alone = ast.parse(f"{opening}{part}\n")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return function(alone, f"{owner}.{name}" if owner else name)


def _class_in(text: str, name: str) -> tuple[int, int]:
    """Return where no doubt is left that what stands there is in the class `name`."""
    heads = (f"\nclass {name}:", f"\nclass {name}(")
    if sum(map(text.count, heads)) != 1:
        return (0, 0)
    start = max(map(text.find, heads)) + len(heads[0])
    end = re.search(r"\n[A-Za-z_@]", text[start:])
    return (start, start + end.start() if end else len(text))


def calls(node: ast.AST, name: str) -> list[ast.Call]:
    """Return the calls of `name(...)` and of `anything.name(...)` in `node`, in source order."""
    found = [
        call for call in walk(node) if isinstance(call, ast.Call) and _last_name(call.func) == name
    ]
    return sorted(found, key=lambda call: (call.lineno, call.col_offset))


def mentions(node: ast.AST, name: str) -> bool:
    """Say whether `node` uses the identifier `name`, bare or as an attribute."""
    return any(_last_name(part) == name for part in walk(node))


def has_constant(node: ast.AST, value: object) -> bool:
    """Say whether the literal `value` stands anywhere in `node`, as a whole."""
    return any(
        isinstance(part, ast.Constant) and type(part.value) is type(value) and part.value == value
        for part in walk(node)
    )


def is_code(node: ast.AST, code: str) -> bool:
    """Say whether the expression `node` is what `code` is, however both are laid out."""
    return ast.dump(node) == ast.dump(ast.parse(code, mode="eval").body)


def contains(node: ast.AST, code: str) -> bool:
    """Say whether the expression `code` stands anywhere in `node`."""
    wanted = ast.parse(code, mode="eval").body
    kind, text = type(wanted), ast.dump(wanted)
    return any(type(part) is kind and ast.dump(part) == text for part in walk(node))


def around(tree: ast.AST, node: ast.AST) -> list[ast.AST]:
    """Return what `node` stands in, innermost first, `tree` last; empty if it is not in `tree`."""
    chain: list[ast.AST] = []
    _find(tree, node, chain)
    return chain


def imports_from(tree: ast.AST, module: str) -> Iterator[ast.ImportFrom]:
    """Yield the `from module import ...` statements anywhere in `tree`."""
    for node in walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == module and node.level == 0:
            yield node


def guarded_by_except(tree: ast.AST, node: ast.AST) -> bool:
    """Say whether `node` stands in the body of a `try` that has an `except`."""
    inner = node
    for outer in around(tree, node):
        if isinstance(outer, ast.Try) and outer.handlers and inner in outer.body:
            return True
        inner = outer
    return False


def _find(tree: ast.AST, node: ast.AST, chain: list[ast.AST]) -> bool:
    for child in ast.iter_child_nodes(tree):
        if child is node or _find(child, node, chain):
            chain.append(tree)
            return True
    return False


def _last_name(node: ast.AST) -> str | None:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None
