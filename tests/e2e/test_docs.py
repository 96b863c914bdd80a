"""Every code block of the README and the docs does what it says, or something else checks it."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from tests.support import environments
from tests.support.environments import Environment
from tests.support.surroundings import REPOSITORY

PAGES = [
    REPOSITORY / "README.md",
    *sorted((REPOSITORY / "docs").glob("*.md")),
    REPOSITORY / ".github" / "CONTRIBUTING.md",
]
BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)

ELSEWHERE = {
    r"python3(\.12)? -m venv": ".ci/run",
    r"(\.venv/bin/)?(python -m )?pip (install|wheel)": "tests/e2e/test_packaging.py",
    r"python -m pytest acme-macfix": "tests/e2e/test_third_party_plugin.py",
    r"\.venv/bin/python -m (pytest|macfix demo)|\.venv/bin/(ruff|mypy)": ".ci/run",
    r"MACFIX_HEAVY=full python -m pytest|git |cd ": "tests/upstream/test_piker_chart.py",
    r"printf|python -m zipapp|python macfix\.pyz": "tests/e2e/test_packaging.py",
    r"mkdir -p|cp |export|source$|\. env/bin/activate": "tests/upstream/test_piker_chart.py",
}
"""Commands that a sandbox cannot execute quickly, and the file that does."""

OTHERS = {
    "mermaid": "tests/unit/test_architecture.py",
    "toml": "tests/e2e/test_third_party_plugin.py",
    "text": "",  # what a command shows
}
"""Blocks that are no commands, and the test that compares them."""

PROGRAM = "import sys; print('ran', *sys.argv[1:])"


def blocks(*languages: str) -> list[tuple[str, str, str]]:
    """The blocks in these languages, or all: page, language and text."""
    return [
        (page.name, language, text)
        for page in PAGES
        for _, language, text in BLOCK.findall(page.read_text())
        if not languages or language in languages
    ]


def commands() -> list[str]:
    """All commands of all blocks, each once, without their comments."""
    found: dict[str, None] = {}
    for _, _, text in blocks("sh"):
        for line in text.splitlines():
            line = re.sub(r'eval "\$\((.*?)\)"', r"\1", line)
            words = shlex.split(line, comments=True)
            while words:
                at = next((i for i, word in enumerate(words) if word in ("&&", "|")), len(words))
                found[shlex.join(words[:at])] = None
                words = words[at + 1 :]
    return list(found)


def is_macfixs(command: str) -> bool:
    return re.match(r"(\w+=\S+ )*(python -m )?macfix ", command) is not None


def test_each_block_has_somebody_who_checks_it() -> None:
    for page, language, text in blocks():
        assert language in ("sh", "python", *OTHERS), f"{page}: nobody checks this block: {text}"
    for command in commands():
        checked = is_macfixs(command) or any(re.match(each, command) for each in ELSEWHERE)
        assert checked, f"nobody executes this command: {command}"
    for place in (*ELSEWHERE.values(), *OTHERS.values()):
        assert (REPOSITORY / place).exists()
    assert len(commands()) > 20 and len(blocks()) > 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with programs of the names that the docs use."""
    made = tmp_path_factory.mktemp("docs")
    for name in ("my_actors.py", "prog.py", "my_package/daemon.py"):
        (made / name).parent.mkdir(exist_ok=True)
        (made / name).write_text(PROGRAM)
    for name in ("piker", "pikerd"):
        (made / "path" / name).mkdir(parents=True)
        (made / "path" / name / "__main__.py").write_text(PROGRAM)
        (made / "path" / name / "__init__.py").touch()
    return made


@pytest.mark.parametrize("command", [each for each in commands() if is_macfixs(each)])
def test_a_command_of_macfixs_is_one(installed: Environment, folder: Path, command: str) -> None:
    words = shlex.split(command)
    env = {"PYTHONPATH": str(folder / "path")}
    while "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        env[name] = value
    if sys.platform == "darwin" and "simulate" in " ".join(words):
        pytest.skip("there is nothing to simulate on a Mac")
    words = words[words.index("macfix") :]
    done = environments.run(installed.python, "-m", *words, cwd=folder, **env)
    program = next((word for word in words if word.startswith(("piker", "my_", "prog"))), "")
    assert done.returncode in ((0,) if program else (0, 1)), f"{done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr and "usage:" not in done.stderr, done.stderr
    if program:
        assert f"ran {' '.join(words[words.index(program) + 1 :])}".strip() in done.stdout


@pytest.mark.parametrize("page, text", [(page, text) for page, _, text in blocks("python")])
def test_python_code_runs(installed: Environment, tmp_path: Path, page: str, text: str) -> None:
    compiled = compile(text, page, "exec")
    if page == "plugins.md":
        return  # tests/e2e/test_third_party_plugin.py installs and runs these
    assert compiled.co_names
    (tmp_path / "block.py").write_text(text)
    simulate = () if sys.platform == "darwin" else ("--simulate",)
    done = environments.run(
        installed.python, *("-m", "macfix", *simulate, "block.py"), cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")
