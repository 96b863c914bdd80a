"""Sources that upstream might have written: the real one, with something about it changed.

Everything is drawn from a seeded generator, so that a number names the same mutant every time.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Callable, Iterator

Mutate = Callable[[ast.Module, random.Random], None]

NEWER_SYNTAX = (
    "type Alias = int\n",
    "def generic[T](x: T) -> T: return x\n",
    "class Generic[T = int]: pass\n",
    "template = t'{1}'\n",
    "try: pass\nexcept ValueError, TypeError: pass\n",
    "try: pass\nexcept* ValueError: pass\n",
    "match 1:\n    case int(): pass\n",
    "import ast as _lazily_named\n",
)


def mutants(source: bytes, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield `count` mutants of `source`, each with what was done to it."""
    yield "empty", b""
    yield "only a comment", b"# nothing\n"
    yield "a null byte", source + b"\0\n"
    yield "an unknown encoding", b"# coding: no-such-encoding\n" + source
    for syntax in NEWER_SYNTAX:
        yield f"newer syntax {syntax!r}", source + b"\n" + syntax.encode()
    for number in range(count):
        generator = random.Random(f"{seed}/{number}")
        kind = generator.random()
        if kind < 0.06:
            yield f"{number}: truncated", source[: generator.randrange(len(source))]
        elif kind < 0.12:
            place = generator.randrange(len(source))
            yield f"{number}: undecodable", source[:place] + b"\xff\xfe" + source[place:]
        elif kind < 0.16:
            yield f"{number}: bytes lost", _without_a_piece(source, generator)
        else:
            yield _of_the_tree(source, number, generator)


def _without_a_piece(source: bytes, generator: random.Random) -> bytes:
    start = generator.randrange(len(source))
    return source[:start] + source[start + generator.randrange(1, 400) :]


def _of_the_tree(source: bytes, number: int, generator: random.Random) -> tuple[str, bytes]:
    tree = ast.parse(source)
    done = []
    for _ in range(generator.choice((1, 1, 1, 2, 3, 6))):
        mutate = generator.choice(MUTATIONS)
        mutate(tree, generator)
        done.append(mutate.__name__)
    text = ast.unparse(ast.fix_missing_locations(tree))
    return f"{number}: {', '.join(done)}", text.encode()


def _bodies(tree: ast.AST) -> list[list[ast.stmt]]:
    found = []
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            body = getattr(node, name, None)
            if isinstance(body, list) and body:
                found.append(body)
    return found


def _functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


def delete_statement(tree: ast.Module, generator: random.Random) -> None:
    """Delete one statement anywhere."""
    bodies = _bodies(tree)
    if bodies:
        body = generator.choice(bodies)
        body.pop(generator.randrange(len(body)))
        if not body:
            body.append(ast.Pass())


def swap_statements(tree: ast.Module, generator: random.Random) -> None:
    """Exchange two statements of one block."""
    bodies = [body for body in _bodies(tree) if len(body) > 1]
    if bodies:
        body = generator.choice(bodies)
        first, second = generator.sample(range(len(body)), 2)
        body[first], body[second] = body[second], body[first]


def duplicate_statement(tree: ast.Module, generator: random.Random) -> None:
    """Have one statement twice."""
    bodies = _bodies(tree)
    if bodies:
        body = generator.choice(bodies)
        place = generator.randrange(len(body))
        body.insert(place, body[place])


def delete_function(tree: ast.Module, generator: random.Random) -> None:
    """Delete a function or class."""
    functions = _functions(tree)
    if functions:
        gone = generator.choice(functions)
        for body in _bodies(tree):
            if gone in body:
                body[body.index(gone)] = ast.Pass()


def rename_function(tree: ast.Module, generator: random.Random) -> None:
    """Rename a function or class where it is defined, and nowhere else."""
    functions = _functions(tree)
    if functions:
        generator.choice(functions).name += "_renamed"


def turn_function_into_value(tree: ast.Module, generator: random.Random) -> None:
    """Put a constant where a function or class was defined."""
    functions = _functions(tree)
    if functions:
        gone = generator.choice(functions)
        value = ast.Constant(generator.choice((None, 0, "text")))
        for body in _bodies(tree):
            if gone in body:
                body[body.index(gone)] = ast.Assign([ast.Name(gone.name, ast.Store())], value)


def change_parameters(tree: ast.Module, generator: random.Random) -> None:
    """Drop, add or reorder a function's parameters."""
    functions = [f for f in _functions(tree) if not isinstance(f, ast.ClassDef)]
    if functions:
        arguments = generator.choice(functions).args
        change = generator.randrange(3)
        if change == 0 and arguments.args:
            arguments.args.pop()
            arguments.defaults = arguments.defaults[: len(arguments.args)]
        elif change == 1:
            arguments.kwonlyargs.append(ast.arg("added"))
            arguments.kw_defaults.append(ast.Constant(None))
        else:
            arguments.args.reverse()


def change_constant(tree: ast.Module, generator: random.Random) -> None:
    """Give one constant another value, or another type."""
    strings = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    inside = {id(part) for string in strings for part in ast.walk(string)}
    constants = [
        node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in inside
    ]
    if constants:
        generator.choice(constants).value = generator.choice((None, 0, -1, "other", True, 2.5))


def rename_name(tree: ast.Module, generator: random.Random) -> None:
    """Use another name in one place."""
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    if names:
        generator.choice(names).id = generator.choice(names).id


def rename_attribute(tree: ast.Module, generator: random.Random) -> None:
    """Use another attribute in one place."""
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    if attributes:
        generator.choice(attributes).attr += "_renamed"


def change_import(tree: ast.Module, generator: random.Random) -> None:
    """Import one name less, or under another name."""
    imports = [n for n in ast.walk(tree) if isinstance(n, (ast.Import, ast.ImportFrom))]
    if imports:
        names = generator.choice(imports).names
        if len(names) > 1 and generator.random() < 0.5:
            names.pop(generator.randrange(len(names)))
        else:
            generator.choice(names).asname = "other_name"


def wrap_in_condition(tree: ast.Module, generator: random.Random) -> None:
    """Put one statement under a condition or into a `try`."""
    bodies = _bodies(tree)
    if bodies:
        body = generator.choice(bodies)
        place = generator.randrange(len(body))
        inner = [body[place]]
        handler = ast.ExceptHandler(ast.Name("Exception", ast.Load()), None, [ast.Pass()])
        body[place] = (
            ast.If(ast.Constant(True), inner, [])
            if generator.random() < 0.5
            else ast.Try(inner, [handler], [], [])
        )


MUTATIONS: tuple[Mutate, ...] = (
    delete_statement,
    swap_statements,
    duplicate_statement,
    delete_function,
    rename_function,
    turn_function_into_value,
    change_parameters,
    change_constant,
    rename_name,
    rename_attribute,
    change_import,
    wrap_in_condition,
)
