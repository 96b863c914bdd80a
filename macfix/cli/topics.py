"""What ``macfix help TOPIC`` prints."""

from __future__ import annotations

from macfix.engine.config import VARIABLES

from .output import facts

PROGRAMS = """\
PROGRAM is looked for in this order; everything after it belongs to the program:

  -m MODULE         a module, as Python runs it (and -c TEXT, and - for standard
                    input)
  a path            of a script, or of a folder or zip file with a __main__.py
  a script          of this environment, as pip installs them
  a console script  that an installed distribution declares
  a package         with a __main__ module

`macfix run status` runs a program that goes by the name of a command.
`macfix -v PROGRAM` says on standard error what was patched, as
MACFIX_LOG=info does. Options of Python's stand before macfix:
`python -O -m macfix PROGRAM`."""

EXIT_CODES = """\
  of a program  its own: macfix becomes the program
  0             all is well
  1             the command found something wrong, or cannot write what it found;
                `doctor`: it works, with warnings
  2             the command line is wrong, or there is no such program;
                `doctor`: something is broken; `demo`: it cannot run here
  130           Ctrl-C"""

SIMULATION = """\
On Linux a program, or a command of macfix's, can be given what it would meet
on a Mac:

  macfix simulate PROGRAM          unpatched, so that it fails as on a Mac
  macfix --simulate PROGRAM        patched
  macfix --simulate=SPEC PROGRAM   on a certain kind of Mac
  MACFIX_SIMULATE=SPEC             the same for all that inherit it;
                                   blank, 0, off, no and false: no simulation

SPEC is 1 (an Apple silicon Mac, as strict as they get), or any of these with
commas between them, for instance names=31,page=4096:

  names=30|31          bytes of a segment's name (31: macOS 10.14.6 or newer)
  page=16384|4096      bytes of a memory page: Apple silicon, Intel
  files=NUMBER         the soft limit of open files (256)
  write=EPIPE|ECONNRESET|EPROTOTYPE|ENOTCONN
                       the error of a write to a closed Unix socket
  peercred=absent|present
                       whether Python's socket has LOCAL_PEERCRED
  guests=ONE:TWO       further modules that are to see macOS"""

TOPICS = {
    "programs": PROGRAMS,
    "variables": facts([(name, text.replace("`", "")) for name, text in VARIABLES.items()]),
    "exit-codes": EXIT_CODES,
    "simulation": SIMULATION,
}
