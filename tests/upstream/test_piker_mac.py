"""What a Mac makes of the real piker's window, text and configuration, with a patch and without.

The screen is Qt's `offscreen`, told that its logical DPI is 72, as every screen's is on a Mac.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support import pythons, upstream
from tests.support.launcher import Launcher
from tests.support.processes import Finished
from tests.support.surroundings import HEAVY
from tests.support.worlds import MENDED_MAC, ON_A_MAC

PROGRAMS = Path(__file__).parent / "programs"


@pytest.fixture
def run(
    upstream_at: Callable[[str, str], Path], launcher_for: Callable[[str], Launcher]
) -> Callable[..., Finished]:
    """Run a program beside the newest public piker, without the patch named `without`."""
    find = pythons.find_or_build if HEAVY == "full" else pythons.find
    python = find(pythons.PIKER)
    if python is None:
        pytest.skip("no environment for piker: build one as docs/piker.md says")
    made = launcher_for(upstream.PIKERS_TRACTOR)
    path = (upstream_at("piker", upstream.PIKER), *made.path)
    launcher = Launcher(python, made.sandbox, made.macfix_folder, path)

    def start(*words: str | Path, without: str = "", **more: str) -> Finished:
        more = {"QT_QPA_PLATFORM": "offscreen", "QT_FONT_DPI": "72", **more}
        return launcher.run(MENDED_MAC, words, more=more | {"MACFIX_SKIP": without})

    return start


def look(run: Callable[..., Finished], **more: str) -> dict[str, Any]:
    finished = run(PROGRAMS / "piker_look.py", **more)
    assert finished.returncode == 0, str(finished)
    answers = [line for line in finished.stdout.splitlines() if line.startswith("{")]
    answer: dict[str, Any] = json.loads(answers[-1])
    assert answer["logical"] == 72
    return answer


@pytest.mark.skipif(ON_A_MAC, reason="a Mac has screens of its own")
def test_text_can_be_read_and_the_window_has_two_thirds_of_the_screen(
    run: Callable[..., Finished],
) -> None:
    bare, patched = look(run, without="piker-fonts,piker-window"), look(run)
    assert bare["text"] == [6, 5]
    assert bare["shares"] < [0.3, 0.3]
    assert patched["text"] == [11, 10]
    assert patched["shares"] == [0.67, 0.67]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
@pytest.mark.parametrize("without", ["", "piker-root-config"], ids=["patched", "bare"])
def test_the_command_that_gives_the_configuration_back_is_said_once_and_the_error_stays(
    run: Callable[..., Finished], without: str
) -> None:
    finished = run(PROGRAMS / "piker_others_files.py", without=without)
    assert finished.stdout.split().count("PermissionError") == 2, str(finished)
    said = [line for line in finished.stderr.splitlines() if "sudo chown" in line]
    assert len(said) == (0 if without else 1), str(finished)


@pytest.mark.parametrize("without", ["", "piker-sudo-folder"], ids=["patched", "bare"])
def test_under_sudo_the_configuration_is_the_users(
    run: Callable[..., Finished], without: str
) -> None:
    program = "from piker import config as c; print(c.get_conf_dir() == c._click_config_dir)"
    finished = run("-c", program, without=without, SUDO_USER="nobody")
    assert finished.returncode == 0, str(finished)
    assert finished.stdout.split()[-1] == ("False" if without else "True"), str(finished)
