"""Every code block of the README and the docs does what it says, or a named test runs the same."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import environments, upstream
from tests.support.environments import Environment
from tests.support.once import made_once
from tests.support.pages import PAGES, own_messages
from tests.support.surroundings import REPOSITORY

FENCE = re.compile(
    r"^(?P<indent> *)(?P<marks>`{3,}|~{3,})(?P<language>[^\n]*)\n(?P<text>.*?)^ *(?P=marks)$",
    re.MULTILINE | re.DOTALL,
)
ITEM = re.compile(r"( *)([-*+]|\d+\.) ")


@dataclass(frozen=True)
class Block:
    """A block of code: where it stands, and what is in it. One without a fence has no language."""

    page: str
    language: str
    text: str


@dataclass(frozen=True)
class Elsewhere:
    """The test, or the function that tests are made with, that runs a command.

    Attributes:
        place: its file, and its name unless all of the file is meant.
        but: words of the command that are others there.
    """

    place: str
    but: frozenset[str] = frozenset()

    def source(self) -> str:
        """Its source; there is none of what does not exist."""
        path, _, name = self.place.partition("::")
        text = (REPOSITORY / path).read_text()
        if not name:
            return text
        found = [
            ast.get_source_segment(text, node) or ""
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.FunctionDef) and node.name == name
        ]
        return "\n".join(found)

    def lacks(self, command: str) -> list[str]:
        """The words of *command* that are not in it, but for the program and for paths.

        Where nothing else is left, the name that the last path ends in counts.
        """
        words = shlex.split(command)
        telling = [word for word in words[1:] if not re.search(r"[./]", word)]
        telling = telling or [words[-1].rpartition("/")[2]]
        source = self.source()
        return [
            word
            for word in telling
            if word not in self.but
            and not re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", source)
        ]


ELSEWHERE = {
    r"python3(\.12)? -m venv ": Elsewhere("tests/support/pythons.py::_build", frozenset({"env"})),
    r"pip install -r path/to/macfix/tests/upstream/": Elsewhere("tests/support/pythons.py::_build"),
    r"pip wheel ": Elsewhere("tests/support/environments.py::build_wheel", frozenset({"dist"})),
    r"pip install 'dist/": Elsewhere("tests/e2e/test_packaging.py::test_pip_installs_the_wheel"),
    r"\.venv/bin/python -m pytest$": Elsewhere(
        "tests/unit/test_readme.py::test_ci_runs_the_readmes_own_test_command"
    ),
    r"python -m pytest acme-macfix": Elsewhere(
        "tests/e2e/test_third_party_plugin.py::test_its_own_test_passes_and_can_fail"
    ),
    r"\.venv/bin/(ruff|mypy)": Elsewhere(".ci/run"),
    r"\.venv/bin/python -m macfix demo": Elsewhere("tests/e2e/test_demo.py::demo"),
    r"python -m macfix --simulate -m pytest --macfix": Elsewhere(
        "tests/unit/test_activation_pytest.py"
    ),
    r"export .*PIKER_SYNTH_REPORT": Elsewhere(
        "tests/support/charts.py", frozenset({"QT_QPA_PLATFORM=offscreen"})
    ),
    r"export PYTHONPATH=path/to/macfix/tests/upstream/piker_synth$": Elsewhere(
        "tests/support/charts.py"
    ),
    r"pip install -e \./acme-macfix": Elsewhere(
        "tests/e2e/test_third_party_plugin.py::with_plugin", frozenset({"-e"})
    ),
    r"source$": Elsewhere("tests/e2e/test_cli.py"),
    r"\. env/bin/activate$": Elsewhere(
        "tests/e2e/test_docs.py::test_an_environment_is_activated_as_the_docs_do"
    ),
}
"""Commands that a sandbox cannot execute quickly, and what does."""

NOT_RUN = {
    r"pip install git\+https://": "the network",
    r"git clone( -b \w+)? https://github\.com/": "the network",
    r"(git -C tractor|cd macfix)": "what is in the folder comes from the network",
    r"pip install --no-deps -e tractor -e piker": "what is in the folders comes from the network",
    r"MACFIX_HEAVY=full python -m pytest tests/upstream/": "packages from the network",
}
"""Commands that are not run, and what they need."""

SCRIPTS = {
    "install.md": "pip install --target app .",
    "piker.md": "mkdir -p ",
}
"""The beginnings of blocks that a shell executes as they are."""

SHOWN = {
    "shared-memory.md": Elsewhere(
        "tests/unit/test_docs_claims.py::test_a_name_that_is_shown_is_made_so"
    ),
    "shutdown.md": Elsewhere(
        "tests/unit/test_docs_claims.py::test_a_warning_that_is_shown_is_macfixs"
    ),
}
"""Who compares what a page shows of names and messages."""

WRITTEN = {
    "toml": Elsewhere("tests/e2e/test_third_party_plugin.py::files_of_the_doc"),
    "mermaid": Elsewhere("tests/unit/test_architecture.py::test_the_drawing_is_up_to_date"),
}
"""Who compares the blocks that are no commands."""

PROGRAM = "import sys; print('ran', *sys.argv[1:])"


# -- what there is ---------------------------------------------------------------------------------


def blocks_of(page: str, text: str) -> Iterator[Block]:
    """The blocks of a page, whether they are fenced or indented, in a list or not."""
    for found in FENCE.finditer(text):
        yield Block(page, found["language"].strip(), textwrap.dedent(found["text"]))
    least, blank = 4, True  # the spaces from which on a line after a blank one is code
    for line in FENCE.sub("", text).splitlines():
        spaces = len(line) - len(line.lstrip())
        if line.strip() and (item := ITEM.match(line)) and spaces < least:
            least = len(item[1]) + 8
        elif line.strip() and spaces == 0:
            least = 4
        elif line.strip() and blank and spaces >= least:
            yield Block(page, "", line.strip())
        blank = not line.strip()


BLOCKS = [block for page in PAGES for block in blocks_of(page.name, page.read_text())]


def commands_of(block: Block) -> list[str]:
    """The commands of a block, without their comments."""
    found = []
    for line in block.text.splitlines():
        line = re.sub(r'eval "\$\((.*?)\)"', r"\1", line)
        words = shlex.split(line, comments=True)
        while words:
            at = next((i for i, word in enumerate(words) if word in ("&&", "|")), len(words))
            found.append(shlex.join(words[:at]))
            words = words[at + 1 :]
    return found


def is_script(block: Block) -> bool:
    return block.text.startswith(SCRIPTS.get(block.page, "\0"))


COMMANDS = list(
    dict.fromkeys(
        command
        for block in BLOCKS
        if block.language == "sh" and not is_script(block)
        for command in commands_of(block)
    )
)
"""Each command of a block that a shell does not execute as a whole, once."""


def elsewhere(command: str) -> Elsewhere | None:
    return next((other for each, other in ELSEWHERE.items() if re.match(each, command)), None)


def is_macfixs(command: str) -> bool:
    return (
        elsewhere(command) is None
        and re.match(r"(\w+=\S+ )*(python( -\w)* -m )?macfix ", command) is not None
    )


def is_pips(command: str) -> bool:
    """Whether pip installs a checkout of macfix."""
    pattern = r"(\.venv/bin/python -m )?pip install (-\w )*'?(\.|path/to/macfix)(\[\w+\])?'?$"
    return re.match(pattern, command) is not None


def test_blocks_of_every_kind_are_found() -> None:
    page = """\
text

    indented

- item
  ```
  no language
  ```

    of the item

1. other

        in a list

text
    of a paragraph
~~~ sh
tildes
~~~
"""
    found = {(block.language, block.text.strip()) for block in blocks_of("page.md", page)}
    assert found == {("", "indented"), ("", "no language"), ("", "in a list"), ("sh", "tildes")}


def test_each_block_is_executed_or_compared() -> None:
    assert len(BLOCKS) > 25 and len(COMMANDS) > 30
    for block in BLOCKS:
        if block.language == "text":
            assert f'"{block.page}"' in SHOWN[block.page].source(), block
        elif block.language in WRITTEN:
            assert WRITTEN[block.language].source(), block
        else:
            assert block.language in ("sh", "python"), f"nobody checks this block: {block}"
    assert {block.page for block in BLOCKS if is_script(block)} == SCRIPTS.keys()


@pytest.mark.parametrize(
    "command", [each for each in COMMANDS if not is_macfixs(each) and not is_pips(each)]
)
def test_what_is_not_executed_here_is_run_by_the_test_that_is_named(command: str) -> None:
    if any(re.match(each, command) for each in NOT_RUN):
        assert elsewhere(command) is None
        for path in re.findall(r"(?<= )tests/\S+", command):
            assert (REPOSITORY / path).exists()
        if "checkout" in command:
            assert command.endswith(upstream.PIKERS_TRACTOR)
        return
    other = elsewhere(command)
    assert other is not None, f"nobody executes this command: {command}"
    assert other.source(), f"there is no {other.place}"
    assert other.lacks(command) == [], f"{other.place} does not run: {command}"


def test_no_entry_is_left_over() -> None:
    for pattern in (*ELSEWHERE, *NOT_RUN):
        assert any(re.match(pattern, command) for command in COMMANDS), pattern


# -- what is executed ------------------------------------------------------------------------------


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


def run(
    installed: Environment, folder: Path, command: str
) -> tuple[list[str], subprocess.CompletedProcess[str]]:
    """Run a command of macfix's; its words after `macfix`, and how it ended."""
    words = shlex.split(command)
    env = {"PYTHONPATH": str(folder / "path")}
    while "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        env[name] = value
    if sys.platform == "darwin" and "simulate" in command.lower():
        pytest.skip("there is nothing to simulate on a Mac")
    options = words[1:] if words[0] == "python" else ["-m", *words]
    done = environments.run(installed.python, *options, cwd=folder, **env)
    return options[options.index("macfix") :] if "macfix" in options else [], done


@pytest.mark.parametrize("command", [each for each in COMMANDS if is_macfixs(each)])
def test_a_command_of_macfixs_is_one(installed: Environment, folder: Path, command: str) -> None:
    words, done = run(installed, folder, command)
    program = next((word for word in words if word.startswith(("piker", "my_", "prog"))), "")
    assert done.returncode in ((0,) if program else (0, 1)), f"{done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr and "usage:" not in done.stderr, done.stderr
    if program:
        assert f"ran {' '.join(words[words.index(program) + 1 :])}".strip() in done.stdout


SEEN_BY = [
    (message, command) for message, said in own_messages().items() if (command := said.command())
]


@pytest.mark.parametrize("message, command", SEEN_BY)
def test_a_message_is_seen_as_the_docs_say(
    installed: Environment, folder: Path, message: str, command: str
) -> None:
    _, done = run(installed, folder, command)
    pattern = ".*".join(re.escape(part) for part in message.split("…"))
    said = " ".join(f"{done.stdout}{done.stderr}".split())
    assert re.search(pattern, said), said


@pytest.fixture(scope="module")
def checkout(run_folder: Path) -> Path:
    """A copy of what macfix is built from."""

    def make(folder: Path) -> None:
        environments.lay_out_macfix(folder)
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            (folder / name).write_bytes((REPOSITORY / name).read_bytes())

    pytest.importorskip("hatchling")
    return made_once(run_folder / "checkout", make)


OFFLINE = ("--no-deps", "--no-index", "--no-build-isolation")


PIPS = [each for each in COMMANDS if is_pips(each)]


@pytest.mark.parametrize("editable", [False, True])
def test_pip_would_install_a_checkout(checkout: Path, editable: bool) -> None:
    """As far as that goes without an index, and without changing anything."""
    assert any((" -e " in each) is editable for each in PIPS)
    words = ("-m", "pip", "install", "--dry-run", *OFFLINE, *(["-e"] if editable else []), ".")
    done = environments.run(sys.executable, *words, cwd=checkout)
    assert done.returncode == 0 and "Would install macfix" in done.stdout, done.stderr


def test_every_extra_that_pip_is_to_install_is_one() -> None:
    asked = {extra for each in PIPS for extra in re.findall(r"\[(\w+)\]", each)}
    project = (REPOSITORY / "pyproject.toml").read_text()
    section = project.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    assert asked and asked <= set(re.findall(r"^(\w+) = \[", section, re.MULTILINE))


@pytest.mark.parametrize("page", SCRIPTS)
def test_a_shell_executes_the_block(checkout: Path, tmp_path: Path, page: str) -> None:
    (block,) = (block for block in BLOCKS if block.page == page and is_script(block))
    here = tmp_path / "here"
    here.mkdir()
    for file in checkout.iterdir():
        (here / file.name).symlink_to(file)
    (here / "prog.py").write_text(PROGRAM)
    (here / "piker" / "config").mkdir(parents=True)
    (here / "piker" / "config" / "brokers.toml").write_text("[ib]\n")
    tools = f'python() {{ "{sys.executable}" "$@"; }}\n'
    tools += f'pip() {{ python -m pip "$1" -q {" ".join(OFFLINE)} "${{@:2}}"; }}\n'
    text = tools + block.text.replace("PROGRAM", "prog.py with words")
    done = environments.run("bash", "-euc", text, cwd=here, HOME=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    if page == "install.md":
        assert done.stdout == "ran with words\n"
    else:
        settings = tmp_path / "Library" / "Application Support" / "piker"
        assert (settings / "brokers.toml").read_text() == "[ib]\n"
        tomllib = pytest.importorskip("tomllib")  # Python 3.11
        assert list(tomllib.loads((settings / "conf.toml").read_text())["network"]) == ["pikerd"]


def test_an_environment_is_activated_as_the_docs_do(tmp_path: Path) -> None:
    (command,) = (each for each in COMMANDS if each.endswith("bin/activate"))
    made = tmp_path / "env"
    words = ("-m", "venv", "--without-pip", str(made))
    assert environments.run(sys.executable, *words, cwd=tmp_path).returncode == 0
    text = f"{command}; command -v python"
    done = environments.run("bash", "-euc", text, cwd=tmp_path)
    assert done.stdout.strip() == str(made / "bin" / "python"), done.stderr


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.language == "python"], ids=lambda block: block.page
)
def test_python_code_runs(installed: Environment, tmp_path: Path, block: Block) -> None:
    compiled = compile(block.text, block.page, "exec")
    if block.page == "plugins.md":  # it is installed and run there
        test = WRITTEN["toml"].source()
        assert test and "A patch in ten minutes" in test
        return
    assert compiled.co_names
    (tmp_path / "block.py").write_text(block.text)
    if sys.platform == "darwin" and "simulate" in block.text:
        pytest.skip("there is nothing to simulate on a Mac")
    itself = sys.platform == "darwin" or "simulate" in block.text
    simulate = () if itself else ("--simulate",)
    done = environments.run(
        installed.python, *("-m", "macfix", *simulate, "block.py"), cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")


# -- how the site shows it -------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_lists_and_blocks_are_the_same_for_mkdocs(page: Path) -> None:
    """Python-Markdown wants four spaces a level, and blank lines around a block in a list."""
    before, inside = "", False
    for line in page.read_text().splitlines():
        is_fence = line.lstrip().startswith(("```", "~~~"))
        spaces = len(line) - len(line.lstrip())
        if is_fence:
            assert spaces % 4 == 0, f"{page.name}: {line}"
            assert not spaces or inside or not before, f"{page.name}: no blank line before {line}"
            inside = not inside
        elif not inside and (item := ITEM.match(line)):
            assert spaces % 4 == 0, f"{page.name}: {line}"
            starts = not before or before.startswith(" ") or ITEM.match(before)
            assert starts and "```" not in before, f"{page.name}: no blank line before {item[0]}"
        before = line
