"""Activates macfix in child interpreters, then runs the next ``sitecustomize``.

The folder of this file is first on ``PYTHONPATH`` (see ``macfix.activation.environment``), so the
interpreter executes it at its start. The folder is then taken off ``sys.path``: the program need
not see it, and the import of ``sitecustomize`` at the end finds the one that the interpreter would
have found without macfix. ``PYTHONPATH`` itself stays as it is, for grandchildren.
"""

# No new syntax here: a program may start an interpreter that is too old for macfix with this
# environment. It must not notice.
import os
import sys

if __name__ == "sitecustomize":
    _site = os.path.dirname(__file__)
    if sys.version_info >= (3, 10):  # noqa: UP036
        try:
            import _macfix_autoload

            _macfix_autoload.start(os.path.dirname(os.path.dirname(os.path.dirname(_site))), _site)
        except Exception as error:
            if sys.stderr is not None:
                sys.stderr.write("macfix: not active here: %r\n" % error)  # noqa: UP031
    sys.path[:] = [place for place in sys.path if place != _site]
    # If there is no other one, the ImportError leaves this module too, and the interpreter takes
    # it for what it is: there is no sitecustomize. An error in the other one is shown as always.
    del sys.modules["sitecustomize"]
    import sitecustomize  # type: ignore[import-not-found]  # noqa: F401
