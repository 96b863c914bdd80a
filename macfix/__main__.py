"""``python -m macfix``."""

from macfix.cli import main

if status := main():  # not SystemExit(0): with `python -i` that would be shown as an error
    raise SystemExit(status)
