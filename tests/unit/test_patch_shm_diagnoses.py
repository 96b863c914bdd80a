"""What the shared memory patches say of a source: the defect, its fix, or neither."""

from __future__ import annotations

import ast

import pytest

from macfix import Source
from tests.support import builtin
from tests.support.surroundings import REPOSITORY

HEAD = (REPOSITORY / "tests" / "replicas" / "HEAD" / "tractor" / "ipc" / "_shm.py").read_text()
REPLICAS = REPOSITORY / "macfix" / "cli" / "demo" / "replicas"
PIKER = (REPLICAS / "piker" / "data" / "_sharedmem.py").read_text()


def says(name: str, text: str) -> str:
    """Return what the patch says of the source `text`, after checking that it is source."""
    ast.parse(text)
    source = Source(builtin.targets_of(name)[0], "source.py", text.encode())
    answer = builtin.patches()[name].diagnose(source)
    assert answer.reason
    return answer.state


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
    "shm-resource-tracker",
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
    ("source", "state"),
    [
        (PIKER, "needed"),
        (HEAD, "needed"),
        (changed(PIKER, IMPORT, f"{WITHOUT}\nfrom ._names import SharedMemory"), "unknown"),
        (changed(HEAD, "SharedMemory = disable_", "SharedMemory = shorten_and_"), "unknown"),
    ],
)
def test_names(source: str, state: str) -> None:
    assert says("shm-names", source) == state


@pytest.mark.parametrize(
    ("source", "state"),
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
def test_shortening(source: str, state: str) -> None:
    assert says("shm-shortening", source) == state


@pytest.mark.parametrize(
    ("source", "state"),
    [
        (PIKER, "needed"),
        (HEAD, "needed"),
        (changed(PIKER, "self._shm.buf, byteorder", "self._shm.buf[:4], byteorder"), "unknown"),
    ],
)
def test_index(source: str, state: str) -> None:
    assert says("shm-index", source) == state


CALLBACK = "    return ShmList(sequence or [0.0] * size, name=key, readonly=readonly)\n"


@pytest.mark.parametrize(
    ("source", "state"),
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
def test_teardown(source: str, state: str) -> None:
    assert says("shm-teardown", source) == state


LAST = "    last = SharedInt("


@pytest.mark.parametrize(
    ("source", "state"),
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
def test_half_open(source: str, state: str) -> None:
    assert says("shm-half-open", source) == state


FIELD = "    key: str | None = None\n"


@pytest.mark.parametrize(
    ("source", "state"),
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
def test_token_key(source: str, state: str) -> None:
    assert says("shm-token-key", source) == state


@pytest.mark.parametrize(
    ("source", "state"),
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
def test_token_check(source: str, state: str) -> None:
    assert says("shm-token-check", source) == state


MADE = "            token = _make_token(key, size=size, dtype=dtype)\n"


@pytest.mark.parametrize(
    ("source", "state"),
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
def test_maybe_open(source: str, state: str) -> None:
    assert says("shm-maybe-open", source) == state


@pytest.mark.parametrize(
    ("source", "state"),
    [
        (PIKER, "needed"),
        (PIKER + "\nimport resource\nresource.setrlimit(7, (1, 1))\n", "not needed"),
    ],
)
def test_open_files(source: str, state: str) -> None:
    assert says("shm-open-files", source) == state


STORE = """
def iter_dfs_from_shms(fqme):
    for shmfile in Path('/dev/shm/').glob(f'*{fqme}*'):
        yield shmfile
"""


@pytest.mark.parametrize(
    ("source", "state"),
    [(STORE, "needed"), (changed(STORE, "Path('/dev/shm/')", "segments()"), "unknown")],
)
def test_dev_shm(source: str, state: str) -> None:
    assert says("shm-dev-shm", source) == state
