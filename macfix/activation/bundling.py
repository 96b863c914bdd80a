"""Making the bundle of macfix's own modules that ``macfix.engine._bundle`` reads."""

from __future__ import annotations

import ast
import importlib.util
import marshal
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from macfix.engine._bundle import ENTRIES, FIRST, FOLDERS, digest, fixed_part, folder_state

if TYPE_CHECKING:
    from macfix.engine._bundle import Member


class Module:
    """One module of macfix, as its source has it."""

    def __init__(self, root: str, folder: str, file_name: str) -> None:
        """
        Args:
            root: the folder that the package ``macfix`` is in.
            folder: where the module lies, relative to *root*.
            file_name: of its source, in *folder*.

        Raises:
            OSError: if it cannot be read.
        """
        self.package = folder.replace("/", ".")
        self.is_package = file_name == "__init__.py"
        own_name = f"{self.package}.{file_name.removesuffix('.py')}"
        self.name = self.package if self.is_package else own_name
        path = os.path.join(root, folder, file_name)
        with open(path, "rb") as stream:
            self._tree = ast.parse(stream.read(), path)
        self.code = compile(self._tree, path, "exec", dont_inherit=True, optimize=0)

    def needs(self) -> Iterator[str]:
        """What must be imported before it executes, and names of attributes that are no modules."""
        yield self.name.rpartition(".")[0]
        for statement in self._tree.body:
            if isinstance(statement, ast.Import):
                yield from (alias.name for alias in statement.names)
            elif isinstance(statement, ast.ImportFrom):
                relative = "." * statement.level + (statement.module or "")
                origin = importlib.util.resolve_name(relative, self.package)
                yield origin
                yield from (f"{origin}.{alias.name}" for alias in statement.names)


def bundle(root: str) -> bytes:
    """The bundle of the macfix in *root*, for this Python without ``-O``.

    Raises:
        OSError: if a source cannot be read.
    """
    states = {place: folder_state(place) for place in (f"{root}/{each}" for each in FOLDERS)}
    modules = {module.name: module for module in _modules(root)}
    orders = {name: _order(name, modules) for name in modules}
    core = dict.fromkeys(name for entry in (FIRST, *ENTRIES) for name in orders[entry])
    groups = [list(core), *([name] for name in modules if name not in core)]
    members: dict[str, Member] = {}
    parts: list[tuple[int, int]] = []
    body = b""
    for group in groups:
        codes = marshal.dumps({name: modules[name].code for name in group})
        for name in group:
            members[name] = (modules[name].is_package, orders[name], len(parts))
        parts.append((len(body), len(body) + len(digest(codes)) + len(codes)))
        body += digest(codes) + codes
    head = marshal.dumps((states, members, parts))
    return fixed_part(head) + head + body


def _modules(root: str) -> Iterator[Module]:
    for folder in FOLDERS:
        for file_name in sorted(os.listdir(os.path.join(root, folder))):
            if file_name.endswith(".py") and file_name != "__main__.py":
                yield Module(root, folder, file_name)


def _order(name: str, modules: Mapping[str, Module]) -> tuple[str, ...]:
    """*name* and, before it, what it needs of *modules*: each after what it needs itself."""
    seen: set[str] = set()
    order: list[str] = []

    def visit(each: str) -> None:
        seen.add(each)
        for need in modules[each].needs():
            if need in modules and need not in seen:
                visit(need)
        order.append(each)

    visit(name)
    return tuple(order)
