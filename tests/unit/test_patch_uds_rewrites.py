"""The rewrites of the Unix socket patches change what they must, and no line moves."""

from __future__ import annotations

import ast
import os
import socket
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from macfix.darwin.sockets import runtime_dir as runtime_dir_module
from macfix.patches.runtime import dir_env
from macfix.patches.uds import backlog, socket_constants

CONSTANTS = """
    before = 1
    from socket import (
        AF_UNIX,
        SO_PASSCRED,
        SO_PEERCRED as CRED,
    )
    after = 2
"""


def rewritten(patch: Any, source: str) -> ast.Module:
    tree = patch.rewrite(ast.parse(dedent(source)))
    assert isinstance(tree, ast.Module)
    return tree


def run(tree: ast.Module) -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    exec(compile(tree, "upstream.py", "exec"), namespace)
    return namespace


def positions(tree: ast.Module) -> list[tuple[int, int]]:
    return [(node.lineno, node.end_lineno or 0) for node in tree.body]


def test_names_that_a_mac_lacks_are_bound_to_none() -> None:
    names = run(rewritten(socket_constants, CONSTANTS))
    assert names["AF_UNIX"] == socket.AF_UNIX
    assert names["SO_PASSCRED"] is None
    assert names["CRED"] is None
    assert "SO_PEERCRED" not in names


def test_every_statement_stays_on_its_lines() -> None:
    before = ast.parse(dedent(CONSTANTS))
    after = rewritten(socket_constants, CONSTANTS)
    first, imports, *more, last = positions(after)
    assert [first, imports, last] == positions(before)
    assert more == [imports]


def test_an_import_of_nothing_else_leaves_no_empty_import() -> None:
    tree = rewritten(socket_constants, "from socket import SO_PEERCRED")
    assert [type(node) for node in tree.body] == [ast.Assign]
    assert run(tree)["SO_PEERCRED"] is None


def test_other_imports_are_left_alone() -> None:
    source = "from os import path\nfrom socket import AF_UNIX\nfrom .socket import SO_PEERCRED\n"
    tree = rewritten(socket_constants, source)
    assert ast.dump(tree) == ast.dump(ast.parse(source))


def test_the_backlog_becomes_128_in_its_place() -> None:
    listener = "async def start_listener(addr):\n    sock.listen({})\n"
    other = "def other():\n    sock.listen(1)\n"
    tree = rewritten(backlog, listener.format(1) + other)
    assert ast.dump(tree) == ast.dump(ast.parse(listener.format(128) + other))
    number = backlog._listen_calls(tree)[0].args[0]
    assert (number.lineno, number.col_offset) == (2, 16)


ENVIRONMENT = """
    import os
    from pathlib import Path
    _rtdir: Path = Path(os.environ['XDG_RUNTIME_DIR'])
    def later():
        return os.environ['XDG_RUNTIME_DIR']
"""


def test_the_variable_still_counts_where_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/501")
    assert run(rewritten(dir_env, ENVIRONMENT))["_rtdir"] == Path("/run/user/501")


@pytest.mark.parametrize("value", [None, ""])
def test_without_the_variable_it_is_the_runtime_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str | None
) -> None:
    monkeypatch.setattr(runtime_dir_module, "BASE", tmp_path)
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    if value is not None:
        monkeypatch.setenv("XDG_RUNTIME_DIR", value)
    names = run(rewritten(dir_env, ENVIRONMENT))
    assert names["_rtdir"] == tmp_path / f"tractor-{os.getuid()}"


def test_only_what_is_executed_at_import_is_rewritten() -> None:
    before = ast.parse(dedent(ENVIRONMENT))
    after = rewritten(dir_env, ENVIRONMENT)
    pairs = zip(before.body, after.body, strict=True)
    changed = [ast.dump(one) != ast.dump(other) for one, other in pairs]
    assert changed == [False, False, True, False]
    assert positions(before) == positions(after)
    assert {
        node.lineno for node in ast.walk(after.body[2]) if isinstance(node, (ast.expr, ast.stmt))
    } == {4}
