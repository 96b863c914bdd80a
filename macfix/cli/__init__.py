"""The command line: ``python -m macfix`` and the script ``macfix``; its help has the exit codes."""

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
    left_out: list[str] = []
    # what is printed to a stream that is closed would else be printed to standard output
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    try:
        if argv is None:
            left_out = leave_out_unsafe_places()
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
        if left_out:
            places = ", ".join(left_out)
            print(f"macfix: left out, as every user can change it: {places}", file=sys.stderr)
        return 1


def leave_out_unsafe_places() -> "list[str]":
    """Take off ``sys.path`` what macfix must not import from; return what others can change.

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

    places = [place for place in places if os.path.isabs(place) or not os.path.exists(place)]
    left_out = [place for place in places if os.path.exists(place) and world_writable(place)]
    sys.path = [place for place in places if place not in left_out]
    return left_out
