"""Any vintage of the modules that share arrays, used in one way."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

DTYPE = [("index", "i8"), ("time", "f8"), ("close", "f8")]
ROWS = 40
START = 10


class Vintage:
    """One of `tractor.ipc._shm`, `tractor._shm`, `piker.data._sharedmem`, of whatever time.

    Arrays have `ROWS` rows of `DTYPE` and begin at row `START`.

    Attributes:
        module: the module.
        lifetime: what upstream takes for the stack of the current actor.
    """

    def __init__(self, name: str) -> None:
        if name.startswith("piker."):
            _stand_in_for_packages("piker", "piker.data", "piker.accounting")
        self.module = importlib.import_module(name)
        self.lifetime = contextlib.ExitStack()
        self._give_it_an_actor()
        self._let_arrays_begin_early()
        self.opener = self._first("open_shm_ndarray", "open_shm_array")
        self.attacher = self._first("attach_shm_ndarray", "attach_shm_array")
        self.maybe_opener = self._first("maybe_open_shm_ndarray", "maybe_open_shm_array")

    def open(self, key: str, **more: Any) -> Any:
        """Create the array `key`."""
        usual = {"key": key, "size": ROWS, "dtype": DTYPE, "append_start_index": START}
        return self.opener(**_fitting(self.opener, **usual) | more)

    def attach(self, token: Any) -> Any:
        """Attach to an array by its token, to write."""
        return self.attacher(**_fitting(self.attacher, token=token, size=ROWS, readonly=False))

    def by_key(self, key: str) -> tuple[Any, bool]:
        """Attach to an array by its key, or else open it; say whether it was opened."""
        answer: tuple[Any, bool] = self.maybe_opener(key=key, size=ROWS, dtype=DTYPE)
        return answer

    def has_arrays(self) -> bool:
        """Say whether arrays work at all: tractor's tokens of 2023 cannot be sent anywhere."""
        token: Any = self._first("NDToken", "_Token")
        return hasattr(token, "to_dict") or "to_dict" not in inspect.getsource(token.as_msg)

    def token(self, key: str) -> Any:
        """Make the token of the array `key` without looking for it."""
        make = self.module._make_token
        return make(**_fitting(make, key=key, size=ROWS, dtype=DTYPE))

    def rows(self, values: list[float]) -> Any:
        """Return rows that say `values`."""
        import numpy

        rows = numpy.zeros(len(values), dtype=DTYPE)
        rows["close"] = values
        return rows

    def _first(self, *names: str) -> Any:
        return next(getattr(self.module, name) for name in names if hasattr(self.module, name))

    def _give_it_an_actor(self) -> None:
        """Let the module find a lifetime stack where there is no actor."""
        tractor: Any = self.module.tractor
        tractor.current_actor = lambda *_, **__: SimpleNamespace(lifetime_stack=self.lifetime)
        for runtime in ("_actor", "_runtime"):
            where = getattr(tractor, runtime, None)
            if where is not None and hasattr(where, "_lifetime_stack"):
                where._lifetime_stack = _Current(self)

    def _let_arrays_begin_early(self) -> None:
        """piker began at a fixed row, days from the first one, until 2023-06."""
        for name in ("_secs_in_day", "_rt_buffer_start"):
            if hasattr(self.module, name):
                setattr(self.module, name, START if name == "_rt_buffer_start" else START // 3)


class _Current:
    """The lifetime stack that a vintage has at the moment."""

    def __init__(self, vintage: Vintage) -> None:
        self._vintage = vintage

    def callback(self, *what: Any) -> None:
        self._vintage.lifetime.callback(*what)


def _fitting(function: Any, **arguments: Any) -> dict[str, Any]:
    """Return those of `arguments` that the function has parameters for."""
    known = inspect.signature(function).parameters
    return {name: value for name, value in arguments.items() if name in known}


def _stand_in_for_packages(*names: str) -> None:
    """Put empty packages in the place of those whose `__init__` imports all of piker.

    Their modules are found where they are.
    """
    importlib.util.find_spec(names[0])  # what a hook waits for that wakes up with the package
    for name in names:
        if name not in sys.modules:
            package = ModuleType(name)
            relative = Path(*name.split("."))
            package.__path__ = [
                str(Path(entry, relative)) for entry in sys.path if Path(entry, relative).is_dir()
            ]
            sys.modules[name] = package


def length_in_bytes(size: int, letter: str = "x") -> str:
    """Return a key of `size` bytes, of this process's tree alone, made of `letter` for the rest."""
    tag = os.environ["SHM_TAG"]
    if size <= len(tag):
        return tag[-size:]
    width, rest = len(letter.encode()), size - len(tag)
    return tag + letter * (rest // width) + "y" * (rest % width)
