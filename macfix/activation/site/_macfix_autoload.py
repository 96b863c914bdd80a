"""What an interpreter that comes up with macfix executes of it at its start, and nothing else.

It puts itself first on ``sys.meta_path``, where it waits for the first import of ``tractor`` or
``piker``. Only then is the package macfix imported, from where it was when this was set up: never
from another place that happens to be on ``sys.path``.

Two files call ``start()``: ``sitecustomize.py`` beside this one, in the children of a process with
macfix, and the ``macfix.pth`` that ``macfix enable`` writes beside a copy of this file. Every
interpreter of such an environment pays for each line here: no annotations, and no import that is
not needed.
"""

import os
import sys
from _thread import get_ident

PACKAGES = ("tractor", "piker")  # as macfix.patches, which is not imported here

is_macfix = True
"""How macfix knows that this module waits: it is a finder on ``sys.meta_path`` itself."""

_OFF = ("off", "0", "no", "false")  # as macfix._variables
_asked = set()
_root = None


def start(root, folder):
    """Wait for an upstream, after starting the simulation if ``MACFIX_SIMULATE`` asks for it.

    Args:
        root: the folder that the package macfix is in.
        folder: where this file was when that was written down. If it is elsewhere now, the
            environment was moved or copied, and what *root* names is not its macfix. Then, and
            where that is gone, the next ``start()`` has its turn.
    """
    global _root
    here = os.path.dirname(__file__)
    moved = here != folder and os.path.realpath(here) != os.path.realpath(folder)
    if moved or not (os.path.isdir(os.path.join(root, "macfix")) or os.path.isfile(root)):
        if _root is None:
            del sys.modules[__name__]  # another environment's may come by this name
        return
    environ = os.environ
    spec = environ.get("MACFIX_SIMULATE", "").strip()
    if spec and spec.lower() not in _OFF and sys.platform != "darwin":
        _simulate(root, spec)
    if sys.platform != "darwin" and "MACFIX_FORCE" not in environ:
        return
    off = environ.get("MACFIX", "").strip().lower() in _OFF
    if not off and not any(hasattr(finder, "is_macfix") for finder in sys.meta_path):
        _root = root
        sys.meta_path = [sys.modules[__name__], *sys.meta_path]


def find_spec(name, path=None, target=None):
    """Put a loader before that of an upstream's module: the loader has macfix activated.

    While the import system asks a finder, other threads' imports wait; so nothing is imported here.
    """
    call = (get_ident(), name)
    if name.partition(".")[0] not in PACKAGES or call in _asked:
        return None
    _asked.add(call)  # another hook may ask all finders from inside its own find_spec()
    try:
        spec = _find_behind(name, path, target)
    finally:
        _asked.discard(call)
    if spec is not None and hasattr(spec.loader, "exec_module"):
        try:  # noqa: SIM105 (contextlib is one import more)
            spec.loader = _loader_before(spec)
        except Exception:
            pass  # an importer with specs of its own: the module runs as it is
    return spec


def _find_behind(name, path, target):
    for finder in list(sys.meta_path):
        if not hasattr(finder, "is_macfix") and hasattr(finder, "find_spec"):
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                return spec
    return None


def _loader_before(spec):
    """A loader that has macfix activated when it is to load, and leaves the module to it."""
    inner = spec.loader

    class StartingLoader:
        def create_module(self, spec):
            create = getattr(self._loader(), "create_module", None)
            return None if create is None else create(spec)

        def exec_module(self, module):  # of a reload: it is created already
            self._loader().exec_module(module)

        def get_code(self, name):
            return self._loader().get_code(name)

        def _loader(self):
            spec.loader = inner
            finder = _activate()
            if finder is not None:
                finder.put_loader_into(spec)
            return spec.loader

        def __getattr__(self, name):
            return getattr(inner, name)

    return StartingLoader()


def _activate():
    """Activate macfix and return its finder; None if it is not there any more or cannot work."""
    try:
        if _import_macfix(_root):
            from macfix.activation.activate import activate, active_finder

            activate(children=False)
            return active_finder()
    except Exception as error:
        if type(error).__name__ == "PatchFailedError":
            raise  # the user asked for it: MACFIX_STRICT
        report(error)
    finally:
        others = [each for each in sys.meta_path if getattr(each, "find_spec", 0) is not find_spec]
        sys.meta_path = others
    return None


def _simulate(root, spec):
    """Make this process a Mac, or end it: as plain Linux it would give false answers."""
    try:
        if _import_macfix(root):
            from macfix.simulate import start

            start(spec)
    except Exception as error:
        report(error)
        if type(error).__name__ == "SimulationError":
            os._exit(2)


def _import_macfix(root):
    """Import the package macfix from *root*, unless it is imported; whether there is one."""
    from importlib import util

    if not _import_from(root, "macfix"):
        return False
    if root not in sys.path:  # a zipapp, pip's --target, or the macfix of another environment
        for name in ("wrapt", "pluggy"):
            if name not in sys.modules and util.find_spec(name) is None:
                _import_from(root, name)
    return True


def _import_from(root, name):
    """Import the package *name* from *root*, unless it is imported; whether there is one."""
    from _frozen_importlib import _ModuleLockManager
    from importlib import machinery, util  # a submodule alone would not wait for its package

    with _ModuleLockManager(name):  # the import system's own: another thread may import it
        if name in sys.modules:
            return True
        spec = machinery.PathFinder.find_spec(name, [root])
        if spec is None or spec.loader is None:
            return False
        module = sys.modules[name] = util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return True


def report(error):
    """Say on standard error, in one line, why macfix is not active, and what may be to blame."""
    text = "macfix: not active here: " + type(error).__name__ + ": " + " ".join(str(error).split())
    standard = os.path.dirname(os.__file__)
    files = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
    trace = error.__traceback__
    while trace is not None:  # a module that raised is not among them
        files[trace.tb_frame.f_globals.get("__name__")] = trace.tb_frame.f_globals.get("__file__")
        trace = trace.tb_next
    for name in sorted(getattr(sys, "stdlib_module_names", ())):
        file = files.get(name)
        if file and not os.path.realpath(file).startswith(os.path.realpath(standard)):
            text += "; " + file + " stands in the place of the standard library's " + name
    if sys.stderr is not None:
        try:  # noqa: SIM105
            sys.stderr.write(text + "\n")
        except Exception:
            pass  # it is closed: there is nobody to tell
