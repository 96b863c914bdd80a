"""Which tree of processes this one belongs to.

A process belongs to its tree from birth, by a variable in its environment that names the tree and
the registry's file. Each process that uses shared memory is on record, and with each transaction of
its own again, so that a registration that failed is repeated. A tree whose founding is not on
record is one whose processes nobody knows: what it holds is never freed by itself.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import sys
from collections.abc import Callable, Iterator
from typing import Any

from macfix import _once
from macfix.darwin.segments import database, place, reaping
from macfix.darwin.segments.database import log, report, transaction
from macfix.darwin.segments.place import UnavailableError
from macfix.darwin.segments.processes import this_process

VARIABLE = place.TREE_VARIABLE
REAP_VARIABLE = "MACFIX_SHM_REAP"
"""Environment variable: `off` leaves what is leaked until `macfix shm reap`."""

_PROGRAM_SHOWN = 200  # characters


class Member:
    """This process as a member of its tree, whose registry is the file `path`.

    What its environment says, its children inherit, even if nothing else can be done.
    """

    def __init__(self) -> None:
        self.path = place.location()
        tree, _, its_path = os.environ.get(VARIABLE, "").partition(":")
        self.is_founder = not tree.isalnum() or its_path != self.path
        self.is_founded = False
        _once.join_tree()
        self._enter(secrets.token_hex(8) if self.is_founder else tree)

    def _enter(self, tree: str) -> None:
        self.tree = tree
        os.environ[VARIABLE] = f"{tree}:{self.path}"

    def sign(self, db: sqlite3.Connection) -> None:
        """Have this process on record, and its tree, which is founded once in its life."""
        try:
            process = this_process()
        except OSError as error:
            raise UnavailableError(
                f"the kernel does not tell about this process: {error}"
            ) from error
        if not self.is_founded:
            if not self.is_founder and not db.execute(database.IS_FOUNDED, (self.tree,)).fetchone():
                self._enter(secrets.token_hex(8))  # that one is over
            db.execute(database.FOUND_TREE, (self.tree,))
        db.execute(database.SIGN, (self.tree, *process, program()))


_own: Member | None = None


def join() -> Callable[[], None] | None:
    """Make this process a member of its tree; if it has none, found one, which children inherit.

    The first of a tree to do so frees what is leaked. Never raises an `Exception`: where the
    registry cannot be used, that is said once.

    Returns:
        What undoes the change of the environment, if there was one.
    """
    before = os.environ.get(VARIABLE)
    with signed(lambda db, tree: db.execute(database.BE_FIRST_TO_REAP, (tree,)).rowcount) as (
        _,
        is_first,
    ):
        pass
    if is_first and not place.is_off(REAP_VARIABLE):
        try:
            reaping.sort_out(place.location(), free=True)
        except Exception as error:  # what is leaked must not keep anybody from working
            log.info("leaked shared memory was not freed: %s", error)
    return None if os.environ.get(VARIABLE) == before else lambda: _leave(before)


def variables() -> dict[str, str]:
    """Return what makes a program a member of a tree from birth, to be put into its environment.

    If there is no tree, one is founded for this very process, which is about to `exec` the program.
    Never raises an `Exception`; returns nothing where the registry cannot be used.
    """
    with signed():
        pass
    return {VARIABLE: os.environ[VARIABLE]} if _own is not None and _own.is_founded else {}


@contextlib.contextmanager
def signed(
    begin: Callable[[sqlite3.Connection, str], Any] = lambda db, tree: None,
) -> Iterator[tuple[sqlite3.Connection | None, Any]]:
    """A transaction of this process, and what *begin* returns; None where there can be none.

    That, and what fails of it inside, is said once and not raised.

    Args:
        begin: is called with the database and this process's tree.
    """
    global _own
    has_begun = False
    try:
        _own = own = _own or Member()
        with transaction(own.path) as db:
            own.sign(db)
            begun = begin(db, own.tree)
            has_begun = True
            yield db, begun
        own.is_founded = True
    except UnavailableError as error:
        report(error)
    if not has_begun:
        yield None, None


def _leave(before: str | None) -> None:
    global _own
    _own = None
    os.environ.pop(VARIABLE, None)
    if before is not None:
        os.environ[VARIABLE] = before


def program() -> str:
    """Return the command line of this process, shortened."""
    words = getattr(sys, "argv", None) or [sys.executable or "?"]
    text = " ".join(map(str, words)).encode(errors="replace").decode()
    return text if len(text) <= _PROGRAM_SHOWN else text[: _PROGRAM_SHOWN - 1] + "…"


def _after_fork() -> None:
    if _own is not None:
        with contextlib.suppress(Exception), signed():
            pass


os.register_at_fork(after_in_child=_after_fork)
