"""What a patch module's docstring says: its first line, and five sections.

The docstring of a patch module is its only description. Its first line is the defect in one
sentence; then come, each with its heading and an indented text::

    Problem:     what goes wrong, and why
    Fix:         what the patch does about it
    Repro:       how to see it
    Upstream:    where upstream knows of it (a link), or "Not reported."
    Remove when: what must be true for the patch to be deleted

It is read from the source, so that a patch needs none of it in order to work (``-OO``).
"""

from __future__ import annotations

import ast
import importlib.util
from dataclasses import dataclass

from macfix.engine.errors import PatchDefinitionError
from macfix.engine.ledger import Problem
from macfix.engine.plugins import Plugins
from macfix.engine.source import Source

SECTIONS = ("Problem", "Fix", "Repro", "Upstream", "Remove when")


@dataclass(frozen=True)
class Documentation:
    """The parts of a patch module's docstring, without headings and indentation."""

    summary: str
    problem: str
    fix: str
    repro: str
    upstream: str
    remove_when: str


def documentation_of(module: str) -> Documentation:
    """Read what the patch module *module* says of itself.

    Raises:
        PatchDefinitionError: if a part is missing, empty, or not known; the message names the file
            and the section.
        ImportError: if there is no such module.
    """
    spec = importlib.util.find_spec(module)
    if spec is None:
        raise ModuleNotFoundError(f"there is no module {module}", name=module)
    source = Source.of(spec, spec.loader)
    return parse(None if source is None else source.text, spec.origin or module)


def problems(plugins: Plugins) -> list[Problem]:
    """What is wrong with the docstrings of all patches."""
    found = []
    for patch in plugins.all_patches():
        try:
            documentation_of(patch.module)
        except PatchDefinitionError as error:
            found.append(Problem(patch.name, str(error)))
    return found


def parse(source: str | None, file: str) -> Documentation:
    """Take the docstring of the module text *source* apart; *file* is what errors call it.

    Raises:
        PatchDefinitionError: as :func:`documentation_of` does.
    """
    text = None if source is None else ast.get_docstring(ast.parse(source))
    if not text:
        raise PatchDefinitionError(f"{file}: the patch module has no docstring")
    first, *lines = text.splitlines()
    sections: dict[str, list[str]] = {}
    name: str | None = None
    for line in lines:
        if line.strip() and not line[0].isspace():
            name = line.rstrip().removesuffix(":")
            if name not in SECTIONS or not line.rstrip().endswith(":"):
                raise PatchDefinitionError(
                    f"{file}: {line.strip()!r} is none of the sections {', '.join(SECTIONS)}"
                )
            if name in sections:
                raise PatchDefinitionError(f"{file}: the section {name!r} is there twice")
            sections[name] = []
        elif name is not None:
            sections[name].append(line.removeprefix("    "))
    texts = {each: "\n".join(sections.get(each, ())).strip() for each in SECTIONS}
    for each, content in texts.items():
        if not content:
            raise PatchDefinitionError(f"{file}: the section {each!r} is missing or empty")
    return Documentation(first.strip(), *texts.values())
