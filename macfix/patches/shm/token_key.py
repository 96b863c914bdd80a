"""A token does not tell its key, and is not equal to itself once it was sent.

Problem:
    piker's tokens and tractor's before 2026-02-27 have no `key`; later ones have the field, but
    `ShmArray._token` leaves it empty. And a token that came through msgspec as a whole has its
    dtype in lists instead of tuples: it is not equal to the one that was sent, and has no hash.

Fix:
    Every token has a `key`: the array's own name. Tokens are equal, and hash alike, if they are of
    the same segments, dtype and size, however these were stored and with or without a key.
    `from_msg` takes messages with a key and without.

Repro:
    Send a token to another process and compare.

Upstream:
    https://github.com/goodboy/tractor/commit/1b76d1e1 (2026-02-27) adds the field

Remove when:
    `ShmArray._token` fills in the key, and equality does not look at the kind of sequence.
"""

from __future__ import annotations

import ast
import inspect
import json
from importlib import import_module
from operator import attrgetter
from types import ModuleType
from typing import Any

from macfix import Changes, Diagnosis, Source, needed, not_needed, unknown
from macfix.engine.changes import Args, Kwargs, Wrapped
from macfix.engine.syntax import calls, definition, function

from ._arrays import TOKENS, normal_dtype, token_class
from ._repro import KEY, array_segments, upstream

_NAMES = ("shm_name", "shm_first_index_name", "shm_last_index_name")
_PARTS = (*_NAMES, "dtype_descr", "size")


def diagnose(source: Source) -> Diagnosis:
    found = [definition(source.tree, name) for name in TOKENS]
    token = next((one for one in found if isinstance(one, ast.ClassDef)), None)
    if token is None:
        return not_needed("it has no tokens")
    fields = {
        node.target.id
        for node in token.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    if not {*_NAMES, "dtype_descr"} <= fields:
        return unknown(f"{token.name} does not have the fields that it used to have")
    if "key" not in fields:
        return needed(f"{token.name} (line {token.lineno}) has no key")
    if not _fills_in_key(source.tree, token.name):
        return needed(f"ShmArray._token makes a {token.name} without its key")
    return not_needed(f"{token.name} has a key, and ShmArray._token fills it in")


def _fills_in_key(tree: ast.Module, token: str) -> bool:
    maker = function(tree, "ShmArray._token")
    made = calls(maker, token) if maker is not None else []
    return bool(made) and all(any(k.arg == "key" for k in call.keywords) for call in made)


def install(module: ModuleType, changes: Changes) -> None:
    token = token_class(module)
    changes.set(token, "__eq__", _equal)
    changes.set(token, "__hash__", _hash)
    changes.wrap(token, "from_msg", _from_any_message)
    if _has_key_field(token):
        own = vars(module.ShmArray)["_token"].fget
        changes.set(module.ShmArray, "_token", property(lambda self: _with_key(own(self))))
    else:
        key = property(attrgetter("shm_name"), doc="The key that the array was opened with.")
        changes.set(token, "key", key)


def _has_key_field(token: type) -> bool:
    return "key" in inspect.get_annotations(token)


def _with_key(token: Any) -> Any:
    """Return the token with its key filled in, if it has a field for it and that is empty."""
    if not _has_key_field(type(token)) or token.key is not None:
        return token
    return type(token)(**{part: getattr(token, part) for part in _PARTS}, key=token.shm_name)


def _from_any_message(wrapped: Wrapped, instance: Any, args: Args, kwargs: Kwargs) -> Any:
    (message,) = args or kwargs.values()
    if isinstance(message, dict):
        message = {**message, "dtype_descr": normal_dtype(message["dtype_descr"])}
        if not _has_key_field(instance):
            message.pop("key", None)
    return _with_key(wrapped(message))


def _identity(token: Any) -> tuple[Any, ...]:
    return (
        *(getattr(token, name) for name in _NAMES),
        normal_dtype(token.dtype_descr),
        getattr(token, "size", None),  # piker's tokens before 2022-08-28 have none
    )


def _equal(self: Any, other: object) -> Any:
    if type(other) is not type(self):
        return NotImplemented
    return bool(_identity(self) == _identity(other))


def _hash(self: Any) -> int:
    return hash(_identity(self))


def _sent(token: Any) -> Any:
    """Return what arrives of a token: as a whole where it is msgspec's, else as a message."""
    kind = type(token)
    if not hasattr(kind, "__struct_fields__"):
        return kind.from_msg(json.loads(json.dumps(token.as_msg())))
    msgspec = import_module("msgspec")
    return msgspec.msgpack.decode(msgspec.msgpack.encode(token), type=kind)


def repro() -> None:
    import numpy

    module = upstream()
    token = module._make_token(key=KEY, size=2, dtype=[("index", "i8")])
    received = _sent(token)
    assert received == token, f"{token} was sent, {received} came, and they are not equal"
    assert received.key == KEY, f"{received} does not know its key"
    with array_segments(module) as (data, first, last):
        row = numpy.zeros(1, dtype=[("index", "i8")])
        array = module.ShmArray(row, module.SharedInt(first), module.SharedInt(last), data)
        assert array._token.key == KEY, f"the token of the array {KEY!r} is {array._token}"
