"""Compiling a rewritten tree as the module's own loader would have compiled its source."""

from __future__ import annotations

import ast
from types import CodeType
from typing import Any

from ._source import Source


def compile_for(loader: Any, tree: ast.Module, source: Source) -> CodeType:
    """Compile *tree* in place of the source that *loader* would have read.

    A loader with ``source_to_code`` does it itself, so that hooks which transform code on its
    way (typeguard, beartype.claw) still do. pytest's hook has no such method; its assertion
    rewriting works on trees and is applied to ours.

    Raises:
        SyntaxError, ValueError, TypeError: if the tree is no valid module.
    """
    if hasattr(loader, "source_to_code"):
        code = loader.source_to_code(tree, source.path)
    else:
        _rewrite_assertions(loader, tree, source)
        code = compile(tree, source.path, "exec", dont_inherit=True)
    if not isinstance(code, CodeType):
        raise TypeError(f"{loader!r} compiled {source.module} to {code!r}")
    return code


def _rewrite_assertions(loader: Any, tree: ast.Module, source: Source) -> None:
    if type(loader).__module__ == "_pytest.assertion.rewrite":
        from _pytest.assertion.rewrite import rewrite_asserts

        rewrite_asserts(tree, source.data, source.path, loader.config)
