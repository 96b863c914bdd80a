"""wrapt's wrapper is had without importing wrapt, and is wrapt's own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.support import environments
from tests.support.surroundings import REPOSITORY

WRAP = """
import inspect, sys
from macfix.engine import Changes
class Owner:
    def method(self, a, b=1):
        "Add."
        return self, a + b
    @classmethod
    def of_class(cls):
        return cls
    @staticmethod
    def static():
        return 1
seen = []
def wrapper(wrapped, instance, args, kwargs):
    seen.append(instance)
    return wrapped(*args, **kwargs)
changes = Changes()
before = dict(vars(Owner))
for name in ("method", "of_class", "static"):
    changes.wrap(Owner, name, wrapper)
owner = Owner()
assert owner.method(1) == (owner, 2) and Owner.of_class() is Owner and Owner.static() == 1
assert seen == [owner, Owner, None], seen
assert str(inspect.signature(Owner.method)) == "(self, a, b=1)" and Owner.method.__doc__ == "Add."
"""

BY_ITSELF = (
    WRAP
    + """
print("wrapt" in sys.modules, "wrapt._wrappers" in sys.modules)
import wrapt
print(type(vars(Owner)["method"]) is wrapt.FunctionWrapper, wrapt.FunctionWrapper.__module__)
assert changes.revert() == [] and dict(vars(Owner)) == before
"""
)


def run(code: str, *path: str | Path, **env: str) -> list[str]:
    places = os.pathsep.join(map(str, (*path, REPOSITORY)))
    done = environments.run(sys.executable, "-c", code, cwd=REPOSITORY, PYTHONPATH=places, **env)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def has_extension() -> bool:
    import importlib.util

    return importlib.util.find_spec("wrapt._wrappers") is not None


def makes_classes_anew() -> bool:
    """Whether wrapt's extension has other classes each time it is loaded (from some 2.x on)."""
    import wrapt

    return bool(wrapt.FunctionWrapper.__flags__ & 1 << 9)


@pytest.mark.skipif(not has_extension(), reason="this wrapt has no extension module")
def test_it_is_wrapts_own_class_whoever_imports_wrapt_later() -> None:
    own, later = run(BY_ITSELF)
    assert later.startswith("True ")
    assert own == ("True True" if makes_classes_anew() else "False False")


@pytest.mark.parametrize(
    ("first", "env"),
    [("import wrapt", {}), ("", {"WRAPT_DISABLE_EXTENSIONS": "1"})],
    ids=["imported before", "without extensions"],
)
def test_the_package_is_asked_where_it_chooses(first: str, env: dict[str, str]) -> None:
    own, later = run(f"{first}\n{BY_ITSELF}", **env)
    assert own.startswith("True ") and later.startswith("True ")


PURE = "class FunctionWrapper:\n    def __init__(self, wrapped, wrapper): pass\n"


@pytest.mark.parametrize("extension", ["", "raise RuntimeError\n", "FunctionWrapper = None\n"])
def test_another_wrapt_than_those_that_are_known_is_imported_whole(
    tmp_path: Path, extension: str
) -> None:
    package = tmp_path / "wrapt"
    package.mkdir()
    (package / "__init__.py").write_text(PURE)
    if extension:
        (package / "_wrappers.py").write_text(extension)
    code = (
        "import sys\nfrom macfix.engine._wrapt import function_wrapper\n"
        "print(function_wrapper() is sys.modules['wrapt'].FunctionWrapper, "
        "'wrapt._wrappers' in sys.modules)"
    )
    assert run(code, tmp_path) == ["True False"]
