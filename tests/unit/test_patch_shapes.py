"""A function that is parsed alone is the one that the whole module has."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from macfix.engine import Source
from macfix.patches._shapes import function, function_in
from tests.support import upstream
from tests.support.surroundings import REPOSITORY


def dumped(node: ast.AST | None) -> str | None:
    """What *node* is and where it stands, without its decorators."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        node.decorator_list = []
    return None if node is None else ast.dump(node, include_attributes=True)


def both_ways(data: bytes, qualname: str) -> tuple[str | None, str | None]:
    source = Source("a.module", "module.py", data)
    return dumped(function_in(source, qualname)), dumped(function(source.parse(), qualname))


def check_file(file: Path) -> int:
    """Compare all functions and methods of *file*; the answer is their number.

    It is 0 where the file is written for a newer Python.
    """
    data = file.read_bytes()
    try:
        body = ast.parse(data).body
    except SyntaxError:
        return 0
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    names = {item.name for item in body if isinstance(item, functions)} | {
        f"{owner.name}.{method.name}"
        for owner in body
        if isinstance(owner, ast.ClassDef)
        for method in owner.body
        if isinstance(method, functions)
    }
    for name in names:
        alone, whole = both_ways(data, name)
        assert alone == whole, f"{file}: {name}"
    return len(names)


def test_functions_of_every_module_of_macfix_and_of_the_replicas() -> None:
    folders = (REPOSITORY / "macfix", REPOSITORY / "tests" / "replicas")
    assert sum(check_file(file) for top in folders for file in top.rglob("*.py")) > 900


def test_functions_of_every_module_of_tractor(tmp_path: Path) -> None:
    try:
        folder = upstream.take("tractor", upstream.TRACTORS["HEAD"], tmp_path)
    except upstream.UpstreamMissingError as error:
        pytest.skip(str(error))
    assert sum(check_file(file) for file in (folder / "tractor").rglob("*.py")) > 300


MODULE = '''\
def first(): return "first"
class A:
    """Text."""

    async def other(self):
        pass

    def method(
        self,
    ) -> None:
        """Text
that is not indented.
        """
        # a comment
    # a comment further left
        return None

    @property
    def last(self): return 1


class B: ...


@decorated
async def alone(
    what,
):
    """Text
that is not indented.
    """
    if what:
# a comment further left
        return None
@decorated
def top(): return 1
'''


@pytest.mark.parametrize(
    "qualname",
    ["A.other", "A.method", "A.last", "A.none", "B.method", "first", "alone", "top", "none"],
)
@pytest.mark.parametrize(
    "change",
    [
        ("", ""),
        ("class B: ...", "class B:\n    def method(self): return 2"),
        ("class A:", "class A(\n    object\n):"),
        ("class A:", "if True:\n  class A:"),
        ("class A:", "class A: pass\nclass A:"),
        ("    def method(", "    if True:\n     def method(self): pass\n    def method("),
        ("class B: ...", ""),
        ("    def method(", "    def method(self): pass\n    def method("),
        ("\nclass B: ...", "x = 1\nclass B: ..."),
        ("class B: ...", "'''\ndef none(): return 1\n'''"),
        ("class B: ...", '"""\nclass C:\n    def none(self): return 1\n"""'),
        ("class B: ...", "def top(): return 2"),
        ("class B: ...", "async def top(): return 2"),
        ("class B: ...", "if 1:\n    def none(): return 2"),
        ("def top(", "def  top("),
    ],
    ids=lambda change: change[1][:16].strip() or None,
)
def test_doubtful_texts_are_parsed_whole(change: tuple[str, str], qualname: str) -> None:
    text = MODULE.replace(*change, 1) if change[0] else MODULE
    try:
        ast.parse(text)
    except SyntaxError:
        pytest.skip("no module")
    alone, whole = both_ways(text.encode(), qualname)
    assert alone == whole


def test_only_a_part_is_parsed() -> None:
    """The rest may be what it likes: if the method has no defect, nobody looks at it."""
    source = Source("a.module", "module.py", MODULE.encode() + b"\ndef :\n")
    found = function_in(source, "A.other")
    assert found is not None and found.name == "other"
