"""Compiling a rewritten tree as the module's own loader would have compiled its source."""

from __future__ import annotations

import ast
import copy
from types import CodeType, MethodType
from typing import Any

from macfix._functions import with_globals

from ._source import Source


def compile_for(loader: Any, tree: ast.Module, source: Source) -> CodeType:
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
    """Have beartype's *loader* compile *tree*; without its checks if it is another beartype."""
    given = type(loader).source_to_code

    def parse(text: Any, path: Any, mode: str, flags: int = 0, *rest: Any, **named: Any) -> object:
        if flags & ast.PyCF_ONLY_AST:
            return copy.deepcopy(tree)
        return compile(text, path, mode, flags, *rest, **named)

    def no_bytecode(path: str) -> object:
        raise OSError(f"the bytecode of {path} is of its source, which is not what is compiled")

    try:
        twin = copy.copy(loader)
        twin.source_to_code = MethodType(with_globals(given, compile=parse), twin)
        twin.path_stats = no_bytecode  # it is neither read nor written then
        twin.get_data = lambda path: source.data
        return twin.get_code(source.module)
    except Exception:
        return loader.source_to_code(tree, source.path)


def _rewrite_assertions(loader: Any, tree: ast.Module, source: Source) -> None:
    if type(loader).__module__ == "_pytest.assertion.rewrite":
        from _pytest.assertion.rewrite import rewrite_asserts

        rewrite_asserts(tree, source.data, source.path, loader.config)
