"""``macfix new-patch``: writes a plugin with a patch and its test, to begin with."""

from __future__ import annotations

import argparse
import re
import sys
from importlib import resources
from pathlib import Path
from string import Template

from macfix.patches import PACKAGES, PLUGINS

from .output import tell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``macfix new-patch``."""
    parser.add_argument("name", metavar="PLUGIN-DEFECT", help="for instance mine-wrong-port")
    parser.add_argument("--target", metavar="MODULE", required=True, help="which has the defect")


def main(args: argparse.Namespace) -> int:
    """Write the files into a new folder below the current one; 1 if it is there already."""
    plugin, _, defect = args.name.partition("-")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z][a-z0-9]*)+", args.name):
        args.parser.error(f"{args.name!r} is no such name as mine-wrong-port")
    if plugin in PLUGINS:
        args.parser.error(f"{plugin!r} is the name of a plugin of macfix's own")
    upstream, *names = args.target.split(".")
    if upstream not in PACKAGES or not all(map(str.isidentifier, names)):
        args.parser.error(f"{args.target!r} is no module of {' or '.join(PACKAGES)}")
    folder = Path(f"{plugin}-macfix")
    try:
        folder.mkdir()
    except FileExistsError:
        print(f"macfix new-patch: {folder} is there: nothing was written", file=sys.stderr)
        return 1
    template = (resources.files(__package__) / "new_patch.txt").read_text("utf-8")
    text = Template(template).substitute(
        vars(args), plugin=plugin, module=defect.replace("-", "_"), upstream=upstream
    )
    _, *parts = re.split(r"^==> (.+) <==\n", text, flags=re.MULTILINE)
    for name, content in zip(parts[::2], parts[1::2], strict=True):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, "utf-8")
    if args.verbosity >= 0:
        tell(
            f"{folder} has a patch of an answer that is 1; put your defect in its place.\n"
            f"  python -m pip install -e ./{folder} pytest\n  python -m pytest {folder}\n"
            "  python -m macfix status -v\n"
            f"The last calls it an unknown upstream, where {args.target} is installed."
        )
    return 0
