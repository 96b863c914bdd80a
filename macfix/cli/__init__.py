"""The command line: ``python -m macfix`` and the script ``macfix``.

Exit codes: a program that is run gives its own; otherwise 0 is success, 1 means that the command
found something wrong (``status``: a patch failed or does not know an upstream; ``demo``: a fix
failed; ``conformance``: the kernel differs; ``doctor``: a warning, and 2 if something is broken), 2
that the command line is wrong or that there is no such program, and 130 Ctrl-C.
"""

# No import here, nor in macfix/__init__.py, of anything that an interpreter has not loaded when it
# starts `python -m macfix`, not even of __future__: it would come from the current directory.
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: "Sequence[str] | None" = None) -> int:
    """Do what the command line *argv* (the process's own unless given) says.

    Returns:
        The exit code; a program that is run replaces this process instead.
    """
    try:
        if argv is None:
            leave_out_unsafe_places()
            argv = sys.argv[1:]
        from .commands import dispatch

        return dispatch(list(argv))
    except KeyboardInterrupt:
        return 130
    except ImportError as error:  # of a module that stands in the place of one that macfix needs
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = error.path or (trace and trace.tb_frame.f_code.co_filename)
        print(f"macfix: cannot be imported: {error} (in {where})", file=sys.stderr)
        return 1


def leave_out_unsafe_places() -> None:
    """Take off ``sys.path`` what macfix must not import from.

    That is the current directory for ``python -m macfix``, the folder of the script ``macfix``, and
    what every user of the machine can change. The folder or zip file stays that macfix itself is
    run from: what it needs lies there, too. A program that is run gets a ``sys.path`` of its own.
    """
    spec = sys.modules["__main__"].__spec__
    archive = spec is not None and spec.name == "__main__"
    safe = getattr(sys.flags, "safe_path", False) or sys.flags.isolated
    places = sys.path[1:] if sys.path and not archive and not safe else sys.path[:]
    sys.path = [place for place in places if place.startswith(os.path.dirname(os.__file__))]
    from macfix._files import world_writable

    sys.path = [
        place
        for place in places
        if not os.path.exists(place) or (os.path.isabs(place) and not world_writable(place))
    ]
