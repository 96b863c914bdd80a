"""transport-eventfd: what it says of `open_eventfd()`, and how the need for Linux is told."""

from __future__ import annotations

import errno
from types import ModuleType
from typing import Any

import pytest

from macfix import Changes, MacfixWarning, Source
from macfix.patches.transport import eventfd

LINUX = """
def open_eventfd(initval: int = 0, flags: int = 0) -> int:
    fd = C.eventfd(initval, flags)
    return fd
"""


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (LINUX, "needed"),
        (LINUX.replace("open_eventfd", "open_it"), "not needed"),
        ("if sys.platform != 'linux': raise ImportError\n" + LINUX, "not needed"),
        (LINUX.replace("C.eventfd", "os.open"), "unknown"),
    ],
)
def test_the_shape_decides(text: str, state: str) -> None:
    answer = eventfd.diagnose(Source("tractor.ipc._linux", "<test>", text.encode()))
    assert answer.state == state, answer.reason


def test_importing_warns_and_opening_says_what_is_missing() -> None:
    module: Any = ModuleType("tractor.ipc._linux")
    module.open_eventfd = stock = lambda initval=0, flags=0: 3
    changes = Changes()
    with pytest.warns(MacfixWarning, match="ring buffers need Linux"):
        eventfd.install(module, changes)
    with pytest.raises(OSError, match="need Linux") as raised:
        module.open_eventfd(0, flags=4)
    assert raised.value.errno == errno.ENOSYS
    changes.revert()
    assert module.open_eventfd is stock
