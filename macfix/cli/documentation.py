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
import re
import textwrap

from macfix.engine.errors import PatchDefinitionError
from macfix.engine.ledger import Problem
from macfix.engine.plugins import Plugins
from macfix.engine.source import Source

SUMMARY = "Summary"
SECTIONS = ("Problem", "Fix", "Repro", "Upstream", "Remove when")


def documentation_of(module: str) -> dict[str, str]:
    """Read what the patch module *module* says of itself: its summary, and each section.

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


def parse(source: str | None, file: str) -> dict[str, str]:
    """Take the docstring of the module text *source* apart; *file* is what errors call it.

    Raises:
        PatchDefinitionError: as :func:`documentation_of` does.
    """
    text = None if source is None else ast.get_docstring(ast.parse(source))
    if not text:
        raise PatchDefinitionError(f"{file}: the patch module has no docstring")
    summary, *parts = re.split(r"\n(?=\S)", text)
    sections: dict[str, str] = {}
    for part in parts:
        heading, _, content = part.partition("\n")
        name = heading.rstrip().removesuffix(":")
        if name not in SECTIONS or not heading.rstrip().endswith(":"):
            raise PatchDefinitionError(
                f"{file}: {heading.strip()!r} is none of the sections {', '.join(SECTIONS)}"
            )
        if name in sections:
            raise PatchDefinitionError(f"{file}: the section {name!r} is there twice")
        sections[name] = textwrap.dedent(content).strip()
    for name in SECTIONS:
        if not sections.get(name):
            raise PatchDefinitionError(f"{file}: the section {name!r} is missing or empty")
    return {SUMMARY: summary.partition("\n")[0].strip(), **sections}
