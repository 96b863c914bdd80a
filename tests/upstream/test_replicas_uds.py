"""The stand-ins for tractor have the shape of the real modules of their time.

What is compared: names, signatures, fields, and what every patch says of both. Bodies are our own.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from macfix import Source
from tests.support import builtin, upstream
from tests.support.surroundings import REPOSITORY

REPLICAS = {
    "2025-07": REPOSITORY / "macfix" / "cli" / "demo" / "replicas",
    "2026-03": REPOSITORY / "tests" / "replicas" / "2026-03",
    "HEAD": REPOSITORY / "tests" / "replicas" / "HEAD",
}

OLD = [
    "tractor._exceptions",
    "tractor._state",
    "tractor.ipc._chan",
    "tractor.ipc._transport",
    "tractor.ipc._uds",
]
NEW = ["tractor.runtime._state" if name == "tractor._state" else name for name in OLD]
MODULES = [
    (vintage, module) for vintage in REPLICAS for module in (NEW if vintage == "HEAD" else OLD)
]

OUR_OWN = {"MsgpackTransport._receive_exactly"}
"""Helpers of the stand-ins that stand for a library of upstream's."""

ALIASES = {"cm": "contextmanager", "acm": "asynccontextmanager"}


@dataclass(frozen=True)
class Function:
    """What a caller sees of a function."""

    kind: str
    decorators: tuple[str, ...]
    parameters: tuple[tuple[str, str, str | None], ...]
    """Kind, name and default of each."""


def functions(tree: ast.Module) -> dict[str, Function]:
    """Return the functions and methods of a module by qualified name; of two the last counts."""
    return {name: _function(node) for name, node in _definitions(tree)}


def _definitions(
    tree: ast.Module,
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    yield f"{node.name}.{inner.name}", inner


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Function:
    decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
    return Function(
        type(node).__name__,
        tuple(ALIASES.get(decorator, decorator) for decorator in decorators),
        tuple(_parameters(node.args)),
    )


def _parameters(args: ast.arguments) -> Iterator[tuple[str, str, str | None]]:
    positional = [*args.posonlyargs, *args.args]
    defaults = [None] * (len(positional) - len(args.defaults)) + [*args.defaults]
    for arg, default in zip(positional, defaults, strict=True):
        yield "positional", arg.arg, _text(default)
    if args.vararg:
        yield "variable", args.vararg.arg, None
    for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        yield "keyword", arg.arg, _text(default)
    if args.kwarg:
        yield "keywords", args.kwarg.arg, None


def _text(default: ast.expr | None) -> str | None:
    return None if default is None else ast.unparse(default)


def address_fields(tree: ast.Module) -> dict[str, str | None]:
    """Return the annotated names of `UDSAddress`, if any, in order, with their values."""
    return {
        node.target.id: _text(node.value)
        for address in tree.body
        if isinstance(address, ast.ClassDef) and address.name == "UDSAddress"
        for node in address.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }


@dataclass(frozen=True)
class Pair:
    """A stand-in and the module it stands for."""

    replica: Source
    real: Source


@pytest.fixture(params=MODULES, ids=lambda pair: f"{pair[0]} {pair[1]}")
def pair(request: pytest.FixtureRequest, upstream_at: Callable[[str, str], Path]) -> Pair:
    vintage, module = request.param
    real = upstream_at("tractor", upstream.TRACTORS[vintage])
    return Pair(read(REPLICAS[vintage], module), read(real, module))


def read(folder: Path, module: str) -> Source:
    path = folder.joinpath(*module.split(".")).with_suffix(".py")
    return Source(module, str(path), path.read_bytes())


def test_its_functions_are_upstreams_with_the_same_signatures(pair: Pair) -> None:
    ours, theirs = functions(pair.replica.tree), functions(pair.real.tree)
    assert ours.keys() - theirs.keys() <= OUR_OWN
    differing = {
        name: (ours[name], theirs[name])
        for name in ours.keys() & theirs.keys()
        if ours[name] != theirs[name]
    }
    assert differing == {}
    assert ours


def test_its_address_has_upstreams_fields(pair: Pair) -> None:
    ours, theirs = address_fields(pair.replica.tree), address_fields(pair.real.tree)
    shared = {name: value for name, value in theirs.items() if name in ours}
    assert list(ours.items()) == list(shared.items())
    if pair.real.module.endswith("._uds"):
        assert {"filedir", "filename", "maybe_pid", "def_bindspace"} <= ours.keys()


def test_every_patch_says_the_same_of_both(pair: Pair) -> None:
    patches = builtin.patches_for(pair.real.module)
    for patch in patches:
        diagnoses = patch.diagnose(pair.replica), patch.diagnose(pair.real)
        assert diagnoses[0].state == diagnoses[1].state, (patch.name, diagnoses)
    assert patches or pair.real.module == "tractor._exceptions"


@pytest.mark.parametrize("vintage", REPLICAS)
def test_every_target_of_the_patches_for_unix_sockets_has_a_stand_in(vintage: str) -> None:
    named = {module for where, module in MODULES if where == vintage}
    sockets = {
        target
        for patch, targets in builtin.plugins().all_patches().items()
        for target in targets
        if patch.plugin in ("uds", "runtime", "transport")
    }
    state = "tractor._state" if vintage == "HEAD" else "tractor.runtime._state"
    # what only looks for a socket's name, and what upstream has on branches
    reap, branches = "tractor.spawn._reap", {"tractor.ipc._linux", "tractor.linux.eventfd"}
    branches |= {f"tractor.spawn._{kind}_forkserver" for kind in ("main_thread", "subint")}
    assert sockets - named == {state, reap, *branches}
