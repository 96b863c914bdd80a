"""The questions that patches ask about a module's tree, on small pieces of source."""

from __future__ import annotations

import ast

import pytest

from macfix.engine import syntax

MODULE = """
import socket
from socket import AF_UNIX
from .socket import SO_PEERCRED

def top(key, size=1):
    sock.listen(1)
    listen(2)
    return key

class Stream:
    def send(self):
        try:
            self.write()
        except OSError:
            self.read()
        finally:
            self.close()

    async def drain(self):
        from socket import SO_PASSCRED
        with lock:
            self.flush()

    class Inner:
        def deep(self): ...

if True:
    def guarded(): ...
"""
TREE = ast.parse(MODULE)


def call_of(name: str) -> ast.Call:
    (call,) = syntax.calls(TREE, name)
    return call


@pytest.mark.parametrize(
    ("qualname", "line"),
    [("top", 6), ("Stream", 11), ("Stream.send", 12), ("Stream.drain", 20), ("Stream.Inner", 25)],
)
def test_a_definition_is_found_by_its_qualified_name(qualname: str, line: int) -> None:
    found = syntax.definition(TREE, qualname)
    assert found is not None and found.lineno == line


@pytest.mark.parametrize("qualname", ["send", "Stream.top", "top.key", "Other.send", "guarded", ""])
def test_what_is_not_defined_there_is_not_found(qualname: str) -> None:
    assert syntax.definition(TREE, qualname) is None


def test_a_class_is_no_function() -> None:
    assert syntax.function(TREE, "Stream") is None
    assert syntax.function(TREE, "Stream.drain") is syntax.definition(TREE, "Stream.drain")
    assert syntax.function(TREE, "nothing") is None


def test_calls_are_found_bare_and_as_attributes_in_the_order_of_the_source() -> None:
    assert [call.lineno for call in syntax.calls(TREE, "listen")] == [7, 8]
    assert syntax.calls(TREE, "sock") == []
    one_line = ast.parse("f(f(1)); g.f(2)")
    assert [call.col_offset for call in syntax.calls(one_line, "f")] == [0, 2, 9]


def test_names_count_bare_and_as_attributes() -> None:
    assert syntax.mentions(TREE, "key") and syntax.mentions(TREE, "close")
    assert not syntax.mentions(TREE, "socket")  # an import is no use of it
    assert not syntax.mentions(TREE, "SO_PEERCRED")


def test_a_constant_is_looked_for_as_a_whole_and_with_its_type() -> None:
    tree = ast.parse("x = 'Broken pipe', 1, None")
    assert syntax.has_constant(tree, "Broken pipe") and syntax.has_constant(tree, None)
    assert syntax.has_constant(tree, 1) and not syntax.has_constant(tree, True)
    assert not syntax.has_constant(tree, "Broken")


def test_layout_does_not_count_but_code_does() -> None:
    (statement,) = ast.parse("f( a,\n b )").body
    assert isinstance(statement, ast.Expr)
    assert syntax.is_code(statement.value, "f(a, b)")
    assert not syntax.is_code(statement.value, "f(b, a)")
    assert syntax.contains(statement, "f(a, b)") and syntax.contains(statement, "b")
    assert not syntax.contains(statement, "c")
    assert not syntax.contains(statement, "f(a)")


def test_what_a_node_stands_in_comes_innermost_first() -> None:
    kinds = [type(node) for node in syntax.around(TREE, call_of("flush"))]
    assert kinds == [ast.Expr, ast.With, ast.AsyncFunctionDef, ast.ClassDef, ast.Module]
    assert syntax.around(TREE, ast.parse("x")) == []
    assert syntax.around(TREE, TREE) == []


def test_imports_are_found_anywhere_but_relative_ones_are_of_another_module() -> None:
    found = [alias.name for node in syntax.imports_from(TREE, "socket") for alias in node.names]
    assert found == ["AF_UNIX", "SO_PASSCRED"]


@pytest.mark.parametrize(
    ("name", "guarded"), [("write", True), ("read", False), ("close", False), ("flush", False)]
)
def test_only_the_body_of_a_try_is_guarded(name: str, guarded: bool) -> None:
    assert syntax.guarded_by_except(TREE, call_of(name)) is guarded


def test_a_try_without_except_guards_nothing() -> None:
    tree = ast.parse("try:\n    f()\nfinally:\n    g()\n")
    assert not syntax.guarded_by_except(tree, syntax.calls(tree, "f")[0])
    outer = ast.parse("try:\n    try:\n        f()\n    finally:\n        g()\nexcept E: ...\n")
    assert syntax.guarded_by_except(outer, syntax.calls(outer, "f")[0])
    assert syntax.guarded_by_except(outer, syntax.calls(outer, "g")[0])
