"""tractor's own shortening of keys gives an array and both of its indexes the same name.

Problem:
    `_shorten_key_for_macos(key, suffix='_first')` returns a key of up to 31 characters as it is,
    without the suffix. Array, first and last index then have one name, and opening an array is
    `FileExistsError` for every such key. Longer keys are replaced in the token, so that nobody
    can tell what a token is of.

Fix:
    The function returns the key with its suffix: what is too long for the kernel is shortened
    where it meets the kernel (`shm-names`), and tokens show keys.

Repro:
    Make a token of a short key: its three names must differ.

Upstream:
    https://github.com/goodboy/tractor/commit/1b76d1e1 (2026-02-27)

Remove when:
    Upstream's function is gone, or treats short keys right and leaves keys readable.
"""

from __future__ import annotations

import ast
from types import ModuleType

from macfix import Changes, Diagnosis, Source, needed, not_needed, unknown
from macfix.engine.syntax import Function, function, mentions

from ._repro import upstream

SHORTEN = "_shorten_key_for_macos"


def diagnose(source: Source) -> Diagnosis:
    shorten = function(source.tree, SHORTEN)
    if shorten is None:
        return not_needed("it shortens no keys")
    early = _early_answer(shorten)
    if early is None:
        return unknown(f"{SHORTEN} does not look as it used to")
    if mentions(early, "suffix"):
        return not_needed(f"{SHORTEN} keeps the suffix of short keys")
    return needed(f"line {early.lineno} drops the suffix of short keys")


def _early_answer(shorten: Function) -> ast.Return | None:
    """Return the statement with which the function answers for keys that are short enough."""
    for node in shorten.body:
        match node:
            case ast.If(test, [*_, ast.Return() as answer], []) if mentions(test, "key"):
                return answer
    return None


def install(module: ModuleType, changes: Changes) -> None:
    changes.set(module, SHORTEN, _whole)


def _whole(key: str, prefix: str = "", suffix: str = "") -> str:
    return key + suffix


def repro() -> None:
    module = upstream()
    token = module._make_token(key="macfix.repro", size=2, dtype=[("index", "i8")])
    names = {token.shm_name, token.shm_first_index_name, token.shm_last_index_name}
    assert len(names) == 3, f"array, first and last index of a token are named {names}"
