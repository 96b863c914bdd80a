"""What README, docs and changelog claim is so: names of tests and files, variables, messages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from macfix import _once
from macfix.darwin.segments import place
from macfix.darwin.segments.names import kernel_name
from macfix.engine.config import _INTERNAL, VARIABLES
from macfix.simulate._limits import SESSION_VARIABLE
from tests.support.pages import PAGES, README, own_messages, variables
from tests.support.surroundings import REPOSITORY

CONTRIBUTING = REPOSITORY / ".github" / "CONTRIBUTING.md"
SOURCES = [
    file
    for file in sorted((REPOSITORY / "macfix").rglob("*.py"))
    if "replicas" not in file.parts and "programs" not in file.parts
]


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


# -- tests and files -------------------------------------------------------------------------------


@cache
def defined_in(file: Path) -> frozenset[str]:
    return frozenset(re.findall(r"def (test_\w+)", file.read_text()))


def files(path: str) -> list[Path]:
    """The files of the repository that *path*, which may have a `*` in it, stands for."""
    return list(REPOSITORY.glob(path.rstrip("/.")))


PATH = re.compile(
    r"(?:(?<=path/to/macfix/)|(?<![\w./~-]))((?:tests|docs|macfix|\.github|\.ci)/[\w./*-]+)"
)
TEST = re.compile(r"\btest_\w+\b(?!\.py|\*)")
ELSEWHERE = {"macfix/upstream", "tests/test_answer.py"}
"""A folder in a user's cache, and a file of the plugin that docs/plugins.md shows."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_and_file_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    named = set(PATH.findall(text)) - ELSEWHERE
    assert [path for path in sorted(named) if not files(path)] == []
    everywhere = [*(REPOSITORY / "tests").rglob("test_*.py")]
    if page.name == "plugins.md":
        everywhere = [page]  # it shows a test of its own, and test_third_party_plugin.py runs that
    known = {name for file in everywhere for name in defined_in(file)}
    prose = re.sub(r"\S*/\S*|test_\w+(\.py|\*)", "", text)
    assert set(TEST.findall(prose)) - known == set()
    for name in (
        set(re.findall(r"(?<![\w/])test_\w+\.py", text)) if page.name != "plugins.md" else ()
    ):
        assert any(file.name == name for file in everywhere), name


def test_each_door_of_the_threat_model_is_shown_shut_by_the_tests_that_it_names() -> None:
    rows = (REPOSITORY / "docs" / "threat-model.md").read_text().partition("|---|")[2]
    doors = [line for line in rows.splitlines() if line.startswith("| ")]
    assert len(doors) > 8
    for door in doors:
        shown_by = door.rstrip(" |").rpartition(" | ")[2]
        named = {
            name
            for path in PATH.findall(shown_by)
            for file in files(path)
            for name in defined_in(file)
        }
        assert named, door
        assert set(TEST.findall(re.sub(r"\S*/\S*", "", shown_by))) <= named, door


# -- variables -------------------------------------------------------------------------------------

NAME = re.compile(r"MACFIX(_[A-Z0-9]+)+")


def documented(page: Path) -> dict[str, str]:
    return dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", "\n".join(variables(page)), re.MULTILINE))


def literals(file: Path) -> set[str]:
    """The variables of macfix's that a file names, each as a text of its own."""
    texts = (node.value for node in ast.walk(tree(file)) if isinstance(node, ast.Constant))
    return {text for text in texts if isinstance(text, str) and NAME.fullmatch(text)}


def read_by_tests() -> set[str]:
    """What is looked up in the environment in which the tests were started."""
    found = set()
    for file in (REPOSITORY / "tests").rglob("*.py"):
        found |= set(re.findall(r'STARTED_WITH(?:\.get\(|\[)\s*"(MACFIX\w*)"', file.read_text()))
    recipes = ("pythons.py", "vintages.py")
    return found.union(*(literals(REPOSITORY / "tests" / "support" / name) for name in recipes))


def test_every_variable_that_is_read_is_in_a_table() -> None:
    users, tests = documented(README), documented(CONTRIBUTING)
    internal = {name for name, meaning in users.items() if meaning.startswith("set by macfix: ")}
    assert internal == {_once.VARIABLE, place.TREE_VARIABLE, SESSION_VARIABLE}
    assert users.keys() - internal == VARIABLES.keys()
    assert internal | tests.keys() == _INTERNAL
    assert tests.keys() == read_by_tests()
    assert set().union(*map(literals, SOURCES)) <= users.keys() | tests.keys()


# -- exit codes ------------------------------------------------------------------------------------


def test_the_table_of_exit_codes_has_what_the_help_has() -> None:
    help_ = (REPOSITORY / "macfix" / "cli" / "help" / "exit-codes.txt").read_text()
    page = (REPOSITORY / "docs" / "activation.md").read_text().partition("## Exit codes")[2]
    rows = dict(re.findall(r"^\| (\d+) \| (.*) \|$", page, re.MULTILINE))
    told = dict(re.findall(r"^ +(\d+) +(.*(?:\n {10,}.*)*)", help_, re.MULTILINE))
    assert rows.keys() == told.keys() == {"0", "1", "2", "130"}
    for code, text in told.items():
        assert set(re.findall(r"`(\w+)`", text)) <= set(re.findall(r"`([\w-]+)`", rows[code])), code
    assert all("`doctor`" in rows[code] for code in "012")
    assert all("`conformance`" in rows[code] for code in "01")


# -- messages of macfix's own ----------------------------------------------------------------------


def template(node: ast.expr) -> str | None:
    """The text of a message in the code, with `…` for what differs."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(template(part) or "…" for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return (template(node.left) or "…") + (template(node.right) or "…")
    return None


def texts() -> Iterator[str]:
    for file in SOURCES:
        for node in ast.walk(tree(file)):
            if isinstance(node, (ast.Constant, ast.JoinedStr, ast.BinOp)) and (
                text := template(node)
            ):
                yield " ".join(text.split())


FILLED_IN = {
    "there is no patch": "there is no",
    "there is no plugin": "there is no",
    "with -E Python ignores PYTHONPATH, so macfix cannot get into the program": (
        "Python ignores PYTHONPATH"
    ),
}
"""Words of the page that the code puts together."""


def parts(message: str) -> list[str]:
    """What stands between the `…` of a message."""
    return [part.strip(" :;,()?") for part in message.split("…")]


def test_every_message_that_is_explained_is_one_of_macfixs() -> None:
    messages = own_messages()
    assert len(messages) > 25
    said = "\n".join(texts())
    for message, said_of_it in messages.items():
        assert said_of_it.why and said_of_it.cure, message
        lacking = [part for part in parts(message) if FILLED_IN.get(part, part) not in said]
        assert lacking == [], f"nothing says: {message}"


def texts_given_to(*names: str) -> set[str]:
    """The first lines of the texts that calls of these functions or classes have."""
    return {
        text.partition("\n")[0]
        for file in SOURCES
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", getattr(node.func, "attr", "")) in names
        for argument in node.args
        if (text := template(argument))
    }


def test_every_warning_and_what_enable_refuses_is_explained() -> None:
    explained = [part for each in own_messages() for part in parts(each) if len(part) > 12]
    said = texts_given_to("warn", "_warn", "warn_once", "CannotEnableError")
    said -= {"…: …", "…; …", "… …", "cannot remove …: …", "cannot write …: …"}
    assert len(said) > 10
    assert [text for text in sorted(said) if not any(part in text for part in explained)] == []


def shown(page: str) -> str:
    """What a page shows as text, in one line."""
    (text,) = re.findall(
        r"^```text\n(.*?)^```$", (REPOSITORY / "docs" / page).read_text(), re.M | re.S
    )
    return " ".join(text.split())


def test_a_warning_that_is_shown_is_macfixs() -> None:
    source = (REPOSITORY / "macfix" / "patches" / "aio" / "_shutdown.py").read_text()
    (call,) = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "warn"
        and "did not end" in (template(node.args[0]) or "")
    ]
    words = " ".join((template(call.args[0]) or "").split())
    pattern = "MacfixWarning: " + ".+".join(re.escape(part) for part in words.split("…"))
    assert re.match(pattern, shown("shutdown.md"))


def test_a_name_that_is_shown_is_made_so() -> None:
    key, name = shown("shared-memory.md").split(" → ")
    assert kernel_name(key) == name


# -- the rest --------------------------------------------------------------------------------------


def test_the_ledger_calls_the_races_what_the_docs_do() -> None:
    page = (REPOSITORY / "docs" / "shared-memory.md").read_text()
    (note,) = re.findall(r'status\(\)\.notes\["([^"]+)"\]', page)
    assert f'"{note}"' in (REPOSITORY / "macfix" / "patches" / "shm" / "names.py").read_text()
    assert (
        "races" not in (REPOSITORY / "macfix" / "darwin" / "segments" / "database.py").read_text()
    )
    told = [line for page in PAGES for line in page.read_text().splitlines() if " races" in line]
    assert all(".notes" in line for line in told)


def test_nothing_is_to_be_installed_from_where_it_is_not() -> None:
    """If macfix is on PyPI by now, let the docs say so, and delete this test."""
    for page in PAGES:
        for line in page.read_text().splitlines():
            from_dist = line.replace("--find-links dist macfix", "")
            found = re.search(
                r"\b(pip|uv|poetry|pipx) (install|add|inject)( -\S+)*( \w+)? '?macfix\b(?![-/])",
                from_dist,
            )
            assert found is None, f"{page.name}: {line}"
    for page in (README, REPOSITORY / "docs" / "install.md"):
        assert re.search(r"not on PyPI\*{0,2} yet", page.read_text())


def test_the_site_is_where_the_pages_of_the_repository_are() -> None:
    project = (REPOSITORY / "pyproject.toml").read_text()
    config = (REPOSITORY / "mkdocs.yml").read_text()
    found = re.search(
        r'^Homepage = "https://github\.com/([\w-]+)/([\w-]+)"$', project, re.MULTILINE
    )
    assert found is not None
    assert f"site_url: https://{found[1]}.github.io/{found[2]}/\n" in config
    assert f"repo_url: https://github.com/{found[1]}/{found[2]}\n" in config
