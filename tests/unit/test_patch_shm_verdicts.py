"""What the shared memory patches say of a source: the defect, its cure, or neither."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

from macfix.engine import Patch, Source
from tests.support.surroundings import REPOSITORY

HEAD = (REPOSITORY / "tests" / "replicas" / "HEAD" / "tractor" / "ipc" / "_shm.py").read_text()
PIKER = Path(REPOSITORY, "macfix", "demo", "replicas", "piker", "data", "_sharedmem.py").read_text()


def patch(name: str) -> Patch:
    found = importlib.import_module(f"macfix.patches.{name.replace('-', '_')}").PATCH
    assert isinstance(found, Patch)
    return found


def says(name: str, text: str) -> str:
    """Return what the patch says of the source `text`, after checking that it is source."""
    ast.parse(text)
    one = patch(name)
    verdict = one.needed(Source(one.targets[0], "source.py", text.encode()))
    assert verdict.reason
    return verdict.state


def changed(text: str, old: str, new: str) -> str:
    """Return `text` with `old`, which must be there, replaced by `new`."""
    assert old in text
    return text.replace(old, new)


NAMES = [
    "shm-names",
    "shm-shortening",
    "shm-index",
    "shm-teardown",
    "shm-half-open",
    "shm-token-key",
    "shm-token-check",
    "shm-maybe-open",
    "shm-open-files",
    "shm-dev-shm",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_module_without_shared_memory_needs_nothing(name: str) -> None:
    assert says(name, "x = 1\n") == "not needed"


@pytest.mark.parametrize("name", NAMES)
def test_layout_and_comments_do_not_count(name: str) -> None:
    for text in (HEAD, PIKER):
        assert says(name, ast.unparse(ast.parse(text))) == says(name, text)


IMPORT = "from multiprocessing.shared_memory import _USE_POSIX, SharedMemory"
WITHOUT = "from multiprocessing.shared_memory import _USE_POSIX"


@pytest.mark.parametrize(
    ("source", "verdict"),
    [
        (PIKER, "needed"),
        (HEAD, "needed"),
        (changed(PIKER, IMPORT, f"{WITHOUT}\nfrom ._names import SharedMemory"), "unknown"),
        (changed(HEAD, "SharedMemory = disable_", "SharedMemory = shorten_and_"), "unknown"),
    ],
)
def test_names(source: str, verdict: str) -> None:
    assert says("shm-names", source) == verdict


@pytest.mark.parametrize(
    ("source", "verdict"),
    [
        (HEAD, "needed"),
        (PIKER, "not needed"),
        (
            changed(HEAD, "        return key\n    room", "        return key + suffix\n    room"),
            "not needed",
        ),
        (changed(HEAD, "    if len(key) <= limit:\n        return key\n", ""), "unknown"),
    ],
)
def test_shortening(source: str, verdict: str) -> None:
    assert says("shm-shortening", source) == verdict


@pytest.mark.parametrize(
    ("source", "verdict"),
    [
        (PIKER, "needed"),
        (HEAD, "needed"),
        (changed(PIKER, "self._shm.buf, byteorder", "self._shm.buf[:4], byteorder"), "unknown"),
    ],
)
def test_index(source: str, verdict: str) -> None:
    assert says("shm-index", source) == verdict


CALLBACK = "    return ShmList(sequence or [0.0] * size, name=key, readonly=readonly)\n"


@pytest.mark.parametrize(
    ("source", "verdict"),
    [
        (PIKER, "needed"),
        (HEAD, "not needed"),
        (
            changed(
                HEAD,
                CALLBACK,
                "    made = ShmList(sequence, name=key)\n"
                "    tractor.current_actor().lifetime_stack.callback(made.shm.unlink)\n",
            ),
            "needed",
        ),
        (changed(PIKER, "            shm_unlink(", "            unlink_somehow("), "not needed"),
    ],
)
def test_teardown(source: str, verdict: str) -> None:
    assert says("shm-teardown", source) == verdict


LAST = "    last = SharedInt("


@pytest.mark.parametrize(
    ("source", "verdict"),
    [
        (PIKER, "needed"),
        (HEAD, "needed"),
        (
            changed(
                PIKER,
                "    token = _make_token(key",
                "    with undo():\n        token = _make_token(key",
            ),
            "unknown",
        ),
        (
            changed(PIKER, "name=key, create=True, size=a.nbytes)", "key)\n    SharedMemory('x')"),
            "unknown",
        ),
    ],
)
def test_half_open(source: str, verdict: str) -> None:
    assert says("shm-half-open", source) == verdict


FIELD = "    key: str | None = None\n"


@pytest.mark.parametrize(
    ("source", "verdict"),
    [
        (PIKER, "needed"),
        (HEAD, "needed"),
        (
            changed(
                HEAD, "            size=self._len,\n", "            size=self._len, key=self._key\n"
            ),
            "not needed",
        ),
        (changed(HEAD, "    shm_first_index_name: str\n", ""), "unknown"),
    ],
)
def test_token_key(source: str, verdict: str) -> None:
    assert says("shm-token-key", source) == verdict


@pytest.mark.parametrize(
    ("source", "verdict"),
    [
        (PIKER, "needed"),
        (HEAD, "needed"),
        (
            changed(
                PIKER,
                "    key = token.shm_name\n",
                "    key = token.shm_name\n    assert shm.size\n",
            ),
            "unknown",
        ),
        (changed(HEAD, "np.ndarray((token.size,)", "as_array((token.size,)"), "unknown"),
    ],
)
def test_token_check(source: str, verdict: str) -> None:
    assert says("shm-token-check", source) == verdict


MADE = "            token = _make_token(key, size=size, dtype=dtype)\n"


@pytest.mark.parametrize(
    ("source", "verdict"),
    [
        (HEAD, "needed"),
        (PIKER, "not needed"),
        (
            changed(HEAD, MADE, MADE + "            return attach_shm_ndarray(token), False\n"),
            "not needed",
        ),
        (changed(HEAD, "        if dtype:\n", "        if dtype is not None:\n"), "unknown"),
    ],
)
def test_maybe_open(source: str, verdict: str) -> None:
    assert says("shm-maybe-open", source) == verdict


@pytest.mark.parametrize(
    ("source", "verdict"),
    [
        (PIKER, "needed"),
        (PIKER + "\nimport resource\nresource.setrlimit(7, (1, 1))\n", "not needed"),
    ],
)
def test_open_files(source: str, verdict: str) -> None:
    assert says("shm-open-files", source) == verdict


STORE = """
def iter_dfs_from_shms(fqme):
    for shmfile in Path('/dev/shm/').glob(f'*{fqme}*'):
        yield shmfile
"""


@pytest.mark.parametrize(
    ("source", "verdict"),
    [(STORE, "needed"), (changed(STORE, "Path('/dev/shm/')", "segments()"), "unknown")],
)
def test_dev_shm(source: str, verdict: str) -> None:
    assert says("shm-dev-shm", source) == verdict
