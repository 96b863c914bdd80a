"""Makes a child interpreter come up like its parent, and hands on to the next ``sitecustomize``.

The folder of this file is first on ``PYTHONPATH`` (see ``macfix.activation.environment``), so the
interpreter executes it at its start. It starts the simulation if ``MACFIX_SIMULATE`` asks for it,
and activates the engine unless ``MACFIX`` is off. Whatever fails is one line on standard error; a
simulation that refuses to start ends the process as well.

The folder is then taken off ``sys.path``: there is nothing else in it, the program need not see it,
and the import of ``sitecustomize`` at the end finds the one that the interpreter would have found
without macfix. ``PYTHONPATH`` itself stays as it is, for grandchildren.

macfix is imported from where this file lies, never by searching ``sys.path``: that could find
another one, in the current directory for instance.
"""

# No annotations and no new syntax here: a program may start an interpreter that is too old for
# macfix, with this environment. It must not notice.
import os
import sys


def _come_up(site):  # type: (str) -> None
    environ = os.environ
    simulate = environ.get("MACFIX_SIMULATE")
    if not (simulate or sys.platform == "darwin" or environ.get("MACFIX_FORCE")):
        return
    if sys.version_info < (3, 10):  # noqa: UP036  (see above)
        return
    _import_macfix(site)
    if simulate:
        _simulate(simulate)
    from macfix.engine._activate import activate  # not from macfix: it would import importlib

    activate(children=False)  # they have this environment


def _simulate(spec):  # type: (str) -> None
    """Make this process a Mac, or end it: as plain Linux it would give false answers."""
    from macfix.simulate import SimulationError, start

    try:
        start(spec)
    except SimulationError as error:
        _report(error)
        os._exit(2)


def _import_macfix(site):  # type: (str) -> None
    """Import macfix from the folder that *site* is in, unless it is imported already."""
    if "macfix" in sys.modules:
        return
    from _frozen_importlib import module_from_spec
    from _frozen_importlib_external import PathFinder

    root = os.path.dirname(os.path.dirname(os.path.dirname(site)))
    spec = PathFinder.find_spec("macfix", [root])
    if spec is None or spec.loader is None:
        raise ImportError("there is no macfix in " + root)
    module = sys.modules["macfix"] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules["macfix"]
        raise
    if root not in sys.path:
        from macfix.activation.root import keep_dependencies_importable

        keep_dependencies_importable()


def _report(error):  # type: (Exception) -> None
    try:
        text = " ".join(str(error).split())
        sys.stderr.write("macfix: not active here: " + type(error).__name__ + ": " + text + "\n")
    except Exception:
        pass  # standard error is closed or None: there is nobody to tell


if __name__ == "sitecustomize":
    _site = os.path.dirname(__file__)
    try:
        _come_up(_site)
    except Exception as error:
        _report(error)
    sys.path[:] = [place for place in sys.path if place != _site]
    # If there is no other one, the ImportError leaves this module too, and the interpreter takes
    # it for what it is: there is no sitecustomize. An error in the other one is shown as always.
    del sys.modules["sitecustomize"]
    import sitecustomize  # type: ignore[import-not-found]  # noqa: F401
