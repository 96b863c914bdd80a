"""piker-sudo-folder: whose folder piker takes, by HOME and by who has run sudo."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from macfix import Changes, Source
from macfix.patches.piker import sudo_folder as patch

CONFIG = """
import os
from pathlib import Path

_click_config_dir = Path(os.path.expanduser('~/Library/Application Support/piker'))
_config_dir = _click_config_dir
_parent_user = os.environ.get('SUDO_USER')

if _parent_user:
    whole = str(_click_config_dir)
    behind = whole.rfind('root') + len('root')
    _config_dir = Path(os.path.expanduser(f'~{_parent_user}')) / Path(whole[behind + 1:])

_watchlists_data_path = _config_dir / Path('watchlists.json')
"""

OLDER = (
    CONFIG.replace("Path(", "str(")
    .replace(")) / str(", ")) + '/' + str(")
    .replace("_config_dir / str(", "_config_dir + '/' + str(")
)

WHERE = "Library/Application Support/piker"


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (CONFIG, "needed"),
        (OLDER, "needed"),
        (CONFIG.replace("SUDO_USER", "USER"), "not needed"),
        (CONFIG.replace("rfind('root')", "find('/')"), "unknown"),
        (CONFIG.replace("_watchlists_data_path", "_watchlists"), "unknown"),
    ],
)
def test_the_cut_in_the_path_is_known_by_its_word(text: str, state: str) -> None:
    assert patch.diagnose(Source("piker.config", "<test>", text.encode())).state == state


@pytest.fixture
def homes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Mac's homes."""
    known = {"~jo": "/Users/jo", "~rooty": "/Users/rooty", "~root": "/var/root"}
    real = os.path.expanduser
    monkeypatch.setattr(os.path, "expanduser", lambda path: known.get(str(path)) or real(path))


@pytest.mark.usefixtures("homes")
@pytest.mark.parametrize("text", [CONFIG, OLDER], ids=["newest", "older"])
@pytest.mark.parametrize(
    ("user", "home", "right"),
    [
        ("jo", "/Users/jo", "/Users/jo"),
        ("rooty", "/Users/rooty", "/Users/rooty"),
        ("jo", "/Volumes/own", "/Volumes/own"),
        ("jo", "/var/root", "/Users/jo"),
        (None, "/Users/jo", "/Users/jo"),
        (None, "/var/root", "/var/root"),
    ],
)
def test_a_home_that_is_kept_is_the_users(
    monkeypatch: pytest.MonkeyPatch, text: str, user: str | None, home: str, right: str
) -> None:
    monkeypatch.setenv("HOME", home)
    monkeypatch.delenv("SUDO_USER", raising=False)
    if user:
        monkeypatch.setenv("SUDO_USER", user)
    module: Any = ModuleType("piker.config")
    exec(text, vars(module))
    before = dict(vars(module))
    if user and home != "/var/root":
        assert str(module._config_dir) != f"{right}/{WHERE}"
    changes = Changes()
    patch.install(module, changes)
    assert str(module._config_dir) == f"{right}/{WHERE}"
    assert Path(module._watchlists_data_path) == Path(right, WHERE, "watchlists.json")
    for name in (patch.FOLDER, patch.LISTS):
        assert type(vars(module)[name]) is type(before[name])
    assert changes.revert() == []
    assert vars(module) == before
