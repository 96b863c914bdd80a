"""macfix's logger, `macfix`: quiet unless the program or the user wants to hear more.

At DEBUG it says the state of each patch, at INFO once a process tree what was patched. A program
sets its level as that of any logger; a user, for programs that do not, by the variable.
"""

from __future__ import annotations

import logging

log = logging.getLogger("macfix")

LEVELS = {"info": logging.INFO, "debug": logging.DEBUG}
"""What the variable `MACFIX_LOG` may say."""


def listen(level: str | None) -> None:
    """Show on standard error what is logged from *level* on, if it is one of `LEVELS`."""
    if level in LEVELS and not log.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("macfix: %(message)s"))
        log.addHandler(handler)
        log.setLevel(LEVELS[level])
