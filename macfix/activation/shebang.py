"""Reads which Python a script asks for."""

from __future__ import annotations

import os

_LAUNCHER = "'''exec'"


def interpreter_of(file: str) -> str | None:
    """The path of the Python that the script *file* asks for.

    Returns:
        "" where the script leaves the choice (``#!/usr/bin/env python``), and None if *file*
        cannot be read or is not a Python script.

    For paths that are too long for a ``#!`` line, or have blanks in them, installers write a shell
    script that is a Python script as well::

        #!/bin/sh
        '''exec' "/a long path/python" "$0" "$@"
        ' '''
    """
    try:
        with open(file, "rb") as stream:
            head = stream.read(4096)
    except OSError:
        return None
    first, _, rest = head.decode("utf-8", "surrogateescape").partition("\n")
    second = rest.partition("\n")[0]
    if not first.startswith("#!"):
        return None
    command = first[2:].strip()
    if second.startswith(_LAUNCHER):
        command = second[len(_LAUNCHER) :].strip()
    path = _first_word(command)
    if os.path.isabs(path) and _names_python(path):
        return path
    return "" if _names_python(command) else None


def _first_word(command: str) -> str:
    quote = command[:1]
    if quote in ("'", '"'):
        return command[1:].partition(quote)[0]
    return command.partition(" ")[0]


def _names_python(text: str) -> bool:
    return "python" in os.path.basename(text) or "pypy" in os.path.basename(text)
