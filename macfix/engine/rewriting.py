"""The code of a target whose tree patches have changed."""

from __future__ import annotations

import ast
import contextlib
import copy
from collections.abc import Callable, Sequence
from types import CodeType, MethodType
from typing import Any

from macfix._functions import with_globals

from .patch import Patch
from .source import Source


def rewrite(
    source: Source,
    loader: Any,
    patches: Sequence[Patch],
    failed: Callable[[Patch, BaseException], None],
) -> CodeType | None:
    """The code of *source*, rewritten by one of *patches* after the other; None if none could.

    A patch that fails is left out, whole: it gets a new tree, which it may have spoilt half-way.

    Args:
        source: the target's.
        loader: the one that would have compiled it.
        patches: those with a ``rewrite()``.
        failed: called with a patch whose ``rewrite()`` raised or gave no valid tree, and the error.
    """
    code: CodeType | None = None
    done: list[Patch] = []
    for patch in patches:
        try:
            code = _compile(loader, _tree(source, [*done, patch]), source)
            done.append(patch)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            failed(patch, error)
    return code


def _tree(source: Source, patches: Sequence[Patch]) -> ast.Module:
    tree = source.parse()
    for patch in patches:
        assert patch.rewrite is not None
        tree = patch.rewrite(tree)
    return ast.fix_missing_locations(tree)


def _compile(loader: Any, tree: ast.Module, source: Source) -> CodeType:
    """Compile *tree* in place of the source that *loader* would have read.

    A loader with ``source_to_code`` does it itself, so that hooks which transform code on its
    way (typeguard, beartype.claw) still do. pytest's hook has no such method; its assertion
    rewriting works on trees and is applied to ours.

    beartype.claw's loader does take a tree, but checks nothing unless it has parsed the source
    itself: it gets our tree for what it parses.

    Raises:
        SyntaxError, ValueError, TypeError: if the tree is no valid module.
    """
    if type(loader).__module__.startswith("beartype."):
        code = _compile_for_beartype(loader, tree, source)
    elif hasattr(loader, "source_to_code"):
        code = loader.source_to_code(tree, source.path)
    else:
        _rewrite_assertions(loader, tree, source)
        code = compile(tree, source.path, "exec", dont_inherit=True)
    if not isinstance(code, CodeType):
        raise TypeError(f"{loader!r} compiled {source.module} to {code!r}")
    return code


def _compile_for_beartype(loader: Any, tree: ast.Module, source: Source) -> object:
    """Have beartype's *loader* compile *tree*.

    Without its checks where it parses nothing: it does not check this module, whose package was not
    named to it, or it is another beartype than those that macfix knows.
    """
    given = type(loader).source_to_code
    parsed = False

    def parse(text: Any, path: Any, mode: str, flags: int = 0, *rest: Any, **named: Any) -> object:
        nonlocal parsed
        if flags & ast.PyCF_ONLY_AST:
            parsed = True
            return copy.deepcopy(tree)
        return compile(text, path, mode, flags, *rest, **named)

    def no_bytecode(path: str) -> object:
        raise OSError(f"the bytecode of {path} is of its source, which is not what is compiled")

    with contextlib.suppress(Exception):
        twin = copy.copy(loader)
        twin.source_to_code = MethodType(with_globals(given, compile=parse), twin)
        twin.path_stats = no_bytecode  # it is neither read nor written then
        twin.get_data = lambda path: source.data
        code: object = twin.get_code(source.module)
        if parsed:
            return code
    return loader.source_to_code(tree, source.path)


def _rewrite_assertions(loader: Any, tree: ast.Module, source: Source) -> None:
    if type(loader).__module__ == "_pytest.assertion.rewrite":
        from _pytest.assertion.rewrite import rewrite_asserts

        rewrite_asserts(tree, source.data, source.path, loader.config)
