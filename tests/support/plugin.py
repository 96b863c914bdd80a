"""A third party's plugin, laid out in a folder as an installed distribution."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

HOOKS = '''\
"""A plugin of the tests."""

from importlib import import_module

from macfix import hookimpl

PATCHES = {patches!r}


@hookimpl
def macfix_targets():
    return PATCHES


@hookimpl
def macfix_patches(target):
    return [import_module(f"{{__name__}}.{{name}}") for name in PATCHES.get(target, ())]
'''

DOCSTRING = '''\
"""Something is wrong.

Problem:
    It is.
Fix:
    It is put right.
Repro:
    Look at it.
Upstream:
    Not reported.
Remove when:
    It is right.
"""
'''

NEEDED = "from macfix import needed\n\n\ndef diagnose(source):\n    return needed('it is 1')\n"
"""A patch that is always needed."""

ADD_41 = NEEDED + (
    "\n\ndef install(module, changes):\n    changes.set(module, 'answer', module.answer + 41)\n"
)
"""A patch that makes 42 of an answer that is 1."""


def lay_out_plugin(
    folder: Path, name: str, patches: Mapping[str, str], targets: Mapping[str, Sequence[str]]
) -> Path:
    """Put the package `<name>_plugin` into `folder`, and its entry point `name`.

    Args:
        folder: what is, or will be, on `sys.path`.
        name: of the plugin: its patches are `<name>-<module>`.
        patches: the source of each patch module, without its docstring.
        targets: the patches of each target.
    """
    package = folder / f"{name}_plugin"
    package.mkdir(parents=True)
    given = {target: tuple(names) for target, names in targets.items()}
    (package / "__init__.py").write_text(HOOKS.format(patches=given))
    for module, source in patches.items():
        (package / f"{module}.py").write_text(DOCSTRING + textwrap.dedent(source))
    add_entry_point(folder, name, package.name)
    return package


def add_entry_point(folder: Path, name: str, module: str) -> None:
    """Declare in `folder` that a distribution contributes the plugin `module` by `name`."""
    info = folder / f"{name}_plugin-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-plugin\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[macfix]\n{name} = {module}\n")
