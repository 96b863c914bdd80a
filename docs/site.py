"""Makes the pages of the site that are written somewhere else; an MkDocs hook.

    pip install -e '.[docs]' && mkdocs serve

A page for each message comes from the tables of `errors.md`, one for each patch, and the plan for
their retirement, from the docstrings of the patches, the command line from its own help, the API
from the code. README, changelog and what GitHub shows of `.github` are pages, too. Links that lead
out of this folder are made to lead to these pages, or to the repository.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from macfix import _HOMES
from macfix.activation.activate import load_plugins
from macfix.cli.commands import SUMMARIES, TOPICS
from macfix.cli.documentation import SECTIONS, SUMMARY, documentation_of

ROOT = Path(__file__).resolve().parents[1]
COPIED = {
    "index.md": "README.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": ".github/CONTRIBUTING.md",
    "security.md": ".github/SECURITY.md",
    "conduct.md": ".github/CODE_OF_CONDUCT.md",
}
"""Pages that are files of the repository, by their place on the site."""

ROW = re.compile(
    r"^\| (`+)(?P<message>.+?)\1(?P<more>[^|]*?) \|(?P<why>[^|]*)\|(?P<what>[^|]*)\|"
    r"(?:(?P<see>[^|]*)\|)?$",
    re.M,
)
"""A row of a table of messages; the last column, how to see it, is there for macfix's own only."""

LINK = re.compile(r"(?<=\]\()(?!https?://|#|mailto:)([^)#\s]*)(#[^)\s]*)?(?=\))")
RAW = "https://raw.githubusercontent.com/macfix/macfix/main/docs/"
"""Where the README, which PyPI shows as well, has its pictures."""
BRACKETED = re.compile(r"\[((?:docs|macfix)/[\w./-]+)\](?!\()")


def on_config(config: MkDocsConfig) -> None:
    """Put the pages that are made into the navigation."""
    for section in config.nav or ():
        for name, pages in section.items():
            if name == "Messages":
                pages += [{row["message"]: message_page(row)} for row in messages()]
            elif name == "Patches":
                pages[1:1] = [{patch.name: f"patches/{patch.name}.md"} for patch in patches()]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are written somewhere else."""
    made = {place: (ROOT / source).read_text() for place, source in COPIED.items()}
    made |= {message_page(row): message(row) for row in messages()}
    made |= {f"patches/{each.name}.md": patch(each, where) for each, where in patches().items()}
    made |= {
        "patches/index.md": index_of_patches(),
        "retirement.md": retirement(),
        "command-line.md": command_line(),
        "api.md": api(),
    }
    for place, text in made.items():
        files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Have links lead where the site has it, or to the repository."""
    place = page.file.src_uri
    source = COPIED.get(place, f"docs/{place}")

    def target(match: re.Match[str]) -> str:
        path = os.path.normpath(os.path.join(os.path.dirname(source), match[1]))
        return (link(path, place, str(config.repo_url)) if match[1] else "") + (match[2] or "")

    markdown = markdown.replace(RAW, "docs/")
    markdown = BRACKETED.sub(lambda match: f"[{match[1]}](/{match[1]})", markdown)
    if place == "errors.md":
        markdown = ROW.sub(with_link, markdown)
    return LINK.sub(target, markdown)


def link(path: str, page: str, repository: str) -> str:
    """Where *page* finds the repository's file or folder *path*, or the site's page docs/*path*."""
    path = path.lstrip("/")
    there = {source: place for place, source in COPIED.items()}.get(path)
    if there is None and path.startswith("docs/") and not path.endswith(".py"):
        there = path.removeprefix("docs/")
    if there is not None:
        return os.path.relpath(there, os.path.dirname(page) or ".")
    return f"{repository}/blob/main/{path}"


# -- messages --------------------------------------------------------------------------------------


def messages() -> list[re.Match[str]]:
    """The rows of the tables of messages: why, what to do or which patches, and how to see it."""
    return list(ROW.finditer((ROOT / "docs" / "errors.md").read_text()))


def message_page(row: re.Match[str]) -> str:
    """Where the page of a message is."""
    words = re.findall(r"\w+", row["message"].lower())
    return f"errors/{'-'.join(words)[:60].strip('-')}.md"


def with_link(row: re.Match[str]) -> str:
    """The row of a message, with a link to its page."""
    start = f"| {row[1]}{row['message']}{row[1]}"
    return row[0].replace(start, f"| [{start[2:]}]({message_page(row)})", 1)


def message(row: re.Match[str]) -> str:
    """The page of a message: what it is, its cause, the fix, and how to see it."""
    known = {each.name: each for each in patches()}
    names = [name for name in re.findall(r"`([\w-]+)`", row["what"]) if name in known]
    quote, more = row[1], row["more"]
    why, what, see = (outward((row[name] or "").strip()) for name in ("why", "what", "see"))
    lines = [f"# {quote}{row['message']}{quote}{more}", "", "## Why", "", why, ""]
    lines += ["## What to do", ""]
    if row["see"] is not None or not names:
        return "\n".join([*lines, what, *(["", "## How to see it", "", see] if see else [])])
    lines += ["Run your program with `python -m macfix` in front of it. It applies:", ""]
    for name in names:
        said = documentation_of(known[name].module)
        lines += [f"- [`{name}`](../patches/{name}.md): {flowing(said['Fix'])}"]
    lines += ["", "## How to see it", ""]
    for name in names:
        lines += [f"- `{name}`: {flowing(documentation_of(known[name].module)['Repro'])}"]
    lines += ["", "`python -m macfix status` says whether your tractor and piker need the patch."]
    return "\n".join(lines)


def outward(text: str) -> str:
    """A cell of `errors.md`, whose links start from there, for a page in the folder below."""
    return LINK.sub(lambda match: f"../{match[1]}{match[2] or ''}" if match[1] else match[0], text)


# -- patches ---------------------------------------------------------------------------------------


@cache
def patches() -> dict[Any, list[str]]:
    """All patches, with their targets; each page asks for them."""
    return load_plugins().all_patches()


def patch(each: Any, targets: list[str]) -> str:
    """The page of a patch: its docstring."""
    said = documentation_of(each.module)
    path = each.module.replace(".", "/") + ".py"
    lines = [f"# {each.name}", "", said[SUMMARY], ""]
    for name in SECTIONS:
        lines += [f"## {name}", "", linked(said[name]), ""]
    where = ", ".join(f"`{target}`" for target in targets)
    lines += ["## Where", "", f"In {where}, by [{path}](/{path}).", ""]
    lines += [f"`MACFIX_SKIP={each.name}` leaves it out."]
    return "\n".join(lines)


def index_of_patches() -> str:
    """The table of all patches."""
    lines = ["# Patches", "", "| patch | defect |", "|---|---|"]
    for each in patches():
        lines += [f"| [`{each.name}`]({each.name}.md) | {documentation_of(each.module)[SUMMARY]} |"]
    return "\n".join(lines)


def retirement() -> str:
    """When each patch can be deleted."""
    lines = ["# When patches can go", ""]
    lines += ["A patch goes when nobody uses an upstream any more that needs it. Until then it "]
    lines += ["recognises what is fixed, and changes nothing there.", ""]
    lines += ["| patch | remove when | upstream |", "|---|---|---|"]
    for each in patches():
        said = documentation_of(each.module)
        cells = [flowing(linked(said[name])) for name in ("Remove when", "Upstream")]
        lines += [f"| [`{each.name}`](patches/{each.name}.md) | {cells[0]} | {cells[1]} |"]
    return "\n".join(lines)


def flowing(text: str) -> str:
    """*text* in one line."""
    return " ".join(text.split())


def linked(text: str) -> str:
    """*text* with its addresses as links."""
    return re.sub(r"https?://[^\s,;)]*[^\s,;).]", r"<\g<0>>", text)


# -- what the code says ----------------------------------------------------------------------------


def command_line() -> str:
    """The help of macfix and of each of its commands."""
    parts = ["# Command line", "", "`macfix` is the same as `python -m macfix`.", ""]
    for name in ("", *SUMMARIES, *TOPICS):
        words = [sys.executable, "-m", "macfix", "help", *name.split()]
        env = os.environ | {"COLUMNS": "88", "NO_COLOR": "1"}
        help_text = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
        title = f"macfix {'help ' * (name in TOPICS)}{name}".rstrip()
        parts += [f"## {title}", "", "```text", help_text.stdout.rstrip(), "```", ""]
    return "\n".join(parts)


def api() -> str:
    """What `macfix` exports, and what plugins implement."""
    lines = [
        "# Python API",
        "",
        "Import these from `macfix`. [Plugins](plugins.md) implement `hookspecs`.",
        "",
    ]
    for home, names in _HOMES.items():
        lines += [f"::: macfix.{home}.{name}\n" for name in names if name != "hookimpl"]
    return "\n".join([*lines, "::: macfix.hookspecs"])
