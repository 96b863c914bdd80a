"""piker-root-config: one line, and only where something is somebody else's."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from macfix import Changes, MacfixWarning, Source
from macfix.patches.piker import root_config as patch

CONFIG = """
_config_dir = None

def load(conf_name, path=None):
    path = path or _config_dir / f'{conf_name}.toml'
    if denied:
        raise PermissionError(13, 'Permission denied', str(path))
    return path.read_text(), path

"""


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (CONFIG.replace("PermissionError", "OSError"), "needed"),
        (CONFIG, "not needed"),
        ("def load():\n    os.chown(_config_dir, 501, 20)", "not needed"),
        ("def load_accounts():\n    return _config_dir", "not needed"),
        ("def load():\n    return config.read()", "unknown"),
    ],
)
def test_a_piker_that_looks_after_files_of_roots_is_left_alone(text: str, state: str) -> None:
    assert patch.diagnose(Source("piker.config", "<test>", text.encode())).state == state


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """piker's module, with the patch, and a configuration of somebody else's."""
    module, changes = ModuleType("piker.config"), Changes()
    exec(CONFIG, vars(module), vars(module))
    vars(module).update(_config_dir=tmp_path / "Application Support" / "piker", denied=True)
    vars(module)["_config_dir"].mkdir(parents=True)
    patch.install(module, changes)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    yield module
    assert changes.revert() == []


def said(config: Any, *arguments: Any) -> list[str]:
    """Read the configuration, which is an error, and return what is said about it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(PermissionError, match="Permission denied"):
            config.load(*arguments)
    assert all(issubclass(warning.category, MacfixWarning) for warning in caught)
    return [str(warning.message) for warning in caught]


def test_one_line_says_what_puts_it_right(config: Any) -> None:
    (line,) = said(config, "conf")
    assert line == (
        f"{config._config_dir} is not yours, most likely since a run with sudo; to get it back:"
        f" sudo chown -R \"$USER\" '{config._config_dir}'"
    )
    assert said(config, "conf") == []  # once a process tree


def test_the_command_gives_it_back(config: Any, tmp_path: Path) -> None:
    (line,) = said(config, "conf")
    sudo = tmp_path / "sudo"
    sudo.write_text(f"#!{sys.executable}\nimport sys; print(sys.argv[1:])\n")
    sudo.chmod(0o755)
    command = line.partition("to get it back: ")[2]
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "USER": "jo"}
    done = subprocess.run(command, shell=True, env=env, capture_output=True, text=True)
    assert done.stdout.strip() == str(["chown", "-R", "jo", str(config._config_dir)])


def test_a_users_own_file_is_another_matter(config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", os.getuid)
    assert said(config, "conf") == []


def test_under_sudo_all_of_it_is_the_users_and_nothing_is_said(
    config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`HOME` is theirs there, and `$USER` is root, whom the command would give all of it."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(patch, "owner_is_somebody_else", lambda path: True)
    assert said(config, "conf") == []


def test_a_link_to_a_file_of_the_systems_is_no_file_of_roots(
    config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = config._config_dir / "hosts"
    link.symlink_to("/etc/hosts")
    monkeypatch.setattr(patch, "owner_is_somebody_else", lambda path: path == str(link))
    assert said(config, "conf") == []


def test_what_lies_beside_the_configuration_counts(
    config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config._config_dir.joinpath("nativedb").mkdir()
    theirs = config._config_dir / "nativedb" / "a market.parquet"
    theirs.touch()
    monkeypatch.setattr(patch, "owner_is_somebody_else", lambda path: path == str(theirs))
    (line,) = said(config, "conf")
    assert line.startswith(f"{theirs} is not yours")


def test_what_works_works(config: Any) -> None:
    config.denied = False
    (config._config_dir / "conf.toml").write_text("[ui]")
    with pytest.warns(MacfixWarning, match="sudo chown"):
        assert config.load("conf") == ("[ui]", config._config_dir / "conf.toml")
