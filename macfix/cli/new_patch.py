"""``macfix new-patch``: writes a plugin with a patch and its test, to begin with."""

from __future__ import annotations

import argparse
import keyword
import re
import sys
from importlib import resources
from pathlib import Path
from string import Template

from macfix.patches import PACKAGES, PLUGINS

from .output import tell

FILES = {
    "pyproject.toml": "pyproject.toml",
    "plugin.py": "{plugin}_macfix/__init__.py",
    "patch.py": "{plugin}_macfix/{module}.py",
    "test.py": "tests/test_{module}.py",
}
"""The templates, and what is made of them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``macfix new-patch``."""
    help = "the plugin's name and the defect's, as in mine-wrong-port"
    parser.add_argument("name", metavar="PLUGIN-DEFECT", type=_name, help=help)
    help = "the module of tractor's or piker's that has the defect"
    parser.add_argument("--target", metavar="MODULE", type=_target, required=True, help=help)


def _name(text: str) -> str:
    plugin, _, defect = text.partition("-")
    if not re.fullmatch("[a-z][a-z0-9]*(-[a-z][a-z0-9]*)+", text) or keyword.iskeyword(defect):
        raise argparse.ArgumentTypeError(f"{text!r} is no such name as mine-wrong-port")
    if plugin in PLUGINS:
        raise argparse.ArgumentTypeError(f"{plugin!r} is the name of a plugin of macfix's own")
    return text


def _target(text: str) -> str:
    names = text.split(".")
    if names[0] not in PACKAGES or not all(map(str.isidentifier, names)):
        raise argparse.ArgumentTypeError(f"{text!r} is no module of {' or '.join(PACKAGES)}")
    return text


def main(args: argparse.Namespace) -> int:
    """Write the files into a new folder below the current one; 1 if it is there already."""
    plugin, _, defect = args.name.partition("-")
    folder = Path(f"{plugin}-macfix")
    try:
        folder.mkdir()
    except FileExistsError:
        print(f"macfix new-patch: {folder} is there: nothing was written", file=sys.stderr)
        return 1
    names = {"plugin": plugin, "module": defect.replace("-", "_"), "patch": args.name}
    names |= {"target": args.target, "upstream": args.target.partition(".")[0]}
    templates = resources.files(__package__) / "templates"
    for template, file in FILES.items():
        text = Template((templates / f"{template}.txt").read_text("utf-8")).substitute(names)
        path = folder / file.format(**names)
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
        if args.verbosity > 0:
            print(path)
    if args.verbosity >= 0:
        tell(
            f"{folder} has a patch of an answer that is 1; put your defect in its place.\n"
            f"  python -m pip install -e ./{folder}\n"
            f"  python -m pytest {folder}\n"
            f"  python -m macfix status -v"
        )
    return 0
