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
import time
from collections.abc import Callable, Iterator

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
    """This process as a member of its tree, whose registry is the file `path`."""

    def __init__(self) -> None:
        self.path = place.location()
        tree, _, its_path = os.environ.get(VARIABLE, "").partition(":")
        self.is_founder = not tree.isalnum() or its_path != self.path
        self.tree = secrets.token_hex(8) if self.is_founder else tree
        self.is_founded = False

    def sign(self, db: sqlite3.Connection) -> None:
        """Have this process on record, and its tree, which is founded once in its life."""
        if not self.is_founded:
            if not self.is_founder and not db.execute(database.IS_FOUNDED, (self.tree,)).fetchone():
                self.tree, self.is_founder = secrets.token_hex(8), True  # that one is over
            if self.is_founder:
                db.execute(database.FOUND_TREE, (self.tree,))
        db.execute(database.SIGN, (self.tree, *this_process(), program(), time.time()))

    def variables(self) -> dict[str, str]:
        """Return what makes a child a member."""
        return {VARIABLE: f"{self.tree}:{self.path}"}


_own: Member | None = None


def join() -> Callable[[], None] | None:
    """Make this process a member of its tree; if it has none, found one, which children inherit.

    The first of a tree to do so frees what is leaked. Never raises an `Exception`: where the
    registry cannot be used, that is said once.

    Returns:
        What undoes the change of the environment, if there was one.
    """
    before = os.environ.get(VARIABLE)
    is_first = False

    def ask(db: sqlite3.Connection, tree: str) -> None:
        nonlocal is_first
        is_first = db.execute(database.BE_FIRST_TO_REAP, (tree,)).rowcount == 1

    with signed(ask):
        pass
    if is_first and _own is not None and not place.is_off(REAP_VARIABLE):
        try:
            reaping.sort_out(_own.path, free=True)
        except Exception as error:  # what is leaked must not keep anybody from working
            log.info("leaked shared memory was not freed: %s", error)
    return None if os.environ.get(VARIABLE) == before else lambda: _leave(before)


def variables() -> dict[str, str]:
    """Return what makes a program a member of a tree from birth, to be put into its environment.

    If there is no tree, one is founded for this very process, which is about to `exec` the program.
    Never raises an `Exception`; returns nothing where the registry cannot be used.
    """
    try:
        own = _own or Member()
        with transaction(own.path, own.sign):
            pass
        return own.variables()
    except (UnavailableError, OSError) as error:
        report(error)
        return {}


@contextlib.contextmanager
def signed(
    begin: Callable[[sqlite3.Connection, str], None] = lambda db, tree: None,
) -> Iterator[sqlite3.Connection | None]:
    """A transaction of this process, which *begin* begins; None where there can be none.

    That, and what fails of it inside, is said once and not raised.

    Args:
        begin: is called with the database and this process's tree.
    """
    try:
        with contextlib.ExitStack() as stack:
            db = _enter(stack, begin)
            yield db
        if db is not None and _own is not None:
            _own.is_founded = True
    except UnavailableError as error:
        report(error)


def _enter(
    stack: contextlib.ExitStack, begin: Callable[[sqlite3.Connection, str], None]
) -> sqlite3.Connection | None:
    global _own

    def sign_and_begin(db: sqlite3.Connection) -> None:
        own.sign(db)
        begin(db, own.tree)

    try:
        _own = own = _own or Member()
        _publish(own)  # even if what follows fails: its children are of one tree
        db = stack.enter_context(transaction(own.path, sign_and_begin))
        _publish(own)
        return db
    except (UnavailableError, OSError) as error:
        report(error)
        return None


def _publish(own: Member) -> None:
    _once.join_tree()
    if os.environ.get(VARIABLE) != own.variables()[VARIABLE]:
        os.environ.update(own.variables())


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
