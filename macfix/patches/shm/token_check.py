"""Attaching believes the dtype and size of a token, whatever the segment holds.

Problem:
    Attaching lays an array of the token's dtype and size over the segment. Where that is rounded up
    to a page, a token that does not fit is not even too large: its array shows other numbers than
    those that were written.

Fix:
    Opening an array leaves its dtype in the segment's label, and attaching compares: a token
    whose dtype or size is not the segment's is refused with both named, before anything is
    attached. A segment from a process without macfix has no label, and only must be large enough.

Repro:
    Attach with a token of another dtype of the same size.

Upstream:
    Not reported.

Remove when:
    Upstream looks at what it attaches to.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from macfix import Changes, Diagnosis, Source, needed, not_needed, unknown
from macfix.darwin.segments.kernel import probe
from macfix.darwin.segments.names import kernel_name
from macfix.engine.changes import Args, Kwargs, Wrapped
from macfix.engine.syntax import calls, contains

from ._arrays import ATTACHERS, OPENERS, first_function, first_name, normal_dtype, token_class
from ._repro import KEY, array_segments, upstream


class TokenMismatchError(TypeError):
    """A token that does not say what its segment is."""


def diagnose(source: Source) -> Diagnosis:
    attacher = first_function(source, ATTACHERS)
    if attacher is None:
        return not_needed("it attaches to no arrays")
    if not calls(attacher, "ndarray"):
        return unknown(f"{attacher.name} does not lay an array over a segment")
    if contains(attacher, "shm.size"):
        return unknown(f"{attacher.name} looks at the size of a segment, in a way not known")
    return needed(f"{attacher.name} (line {attacher.lineno}) believes the token")


def install(module: ModuleType, changes: Changes) -> None:
    def checked(wrapped: Wrapped, instance: object, args: Args, kwargs: Kwargs) -> Any:
        token, more = _token_and_size(*args, **kwargs)
        token = token_class(module).from_msg(dict(token) if isinstance(token, dict) else token)
        _check(token, getattr(token, "size", more))
        return wrapped(*args, **kwargs)

    changes.wrap(module, first_name(module, OPENERS), _noted)
    changes.wrap(module, first_name(module, ATTACHERS), checked)


def _noted(wrapped: Wrapped, instance: object, args: Args, kwargs: Kwargs) -> Any:
    array = wrapped(*args, **kwargs)
    if hasattr(array._shm, "annotate"):
        array._shm.annotate(_note_of(array._token))
    return array


def _token_and_size(token: Any, size: Any = None, *_: Any, **__: Any) -> tuple[Any, Any]:
    """The arguments of every version: (token, size=…) until 2022-08-28, then (token, readonly=…)"""
    return token, size


def _check(token: Any, rows: int | None) -> None:
    """Raise `TokenMismatchError` if the segment of `token`, if there is one, is another array."""
    found = probe(kernel_name(token.shm_name))
    if found is None or not found.length:
        return  # attaching will say so
    wanted = _dtype_of(token)
    if found.note is not None and found.note != _note_of(token):
        raise TokenMismatchError(
            f"shared memory {token.shm_name!r} holds rows of dtype {found.note}, and the token "
            f"says {_note_of(token)}: take the token from whoever opened the array"
        )
    if rows is None or isinstance(rows, bool):
        return
    asked = rows * wanted.itemsize
    size = found.length if found.label is None else found.label.size
    if asked > size or (found.label is not None and asked != size):
        raise TokenMismatchError(
            f"shared memory {token.shm_name!r} has {size} bytes, and the token says {rows} rows of "
            f"{wanted.itemsize} bytes, {asked}: take the token from whoever opened the array"
        )


def _note_of(token: Any) -> str:
    """Return the dtype of `token` as text: the same for each way to write the same dtype."""
    return repr(normal_dtype(_dtype_of(token).descr))


def _dtype_of(token: Any) -> Any:
    import numpy

    return numpy.dtype(list(normal_dtype(token.dtype_descr)))


def repro() -> None:
    module = upstream()
    attach = getattr(module, first_name(module, ATTACHERS))
    token = module._make_token(key=KEY, size=9, dtype=[("index", "i8")])
    with array_segments(module):
        try:
            attach(token)
        except TokenMismatchError:
            return
        except Exception as error:
            raise AssertionError(
                f"attaching to 16 bytes as 72 went as far as {type(error).__name__}: {error}"
            ) from error
    raise AssertionError("16 bytes were attached to as 72")
