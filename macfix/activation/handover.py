"""What happens when the finder of ``early.py`` has seen an upstream, or has to do more than wait.

Executed by its path. It finds the package ``macfix`` by where it lies itself,
never by searching ``sys.path``: that could find another one, in the current directory for instance.
"""

# No import here that is not loaded at the start of an interpreter, not even of `__future__`: this
# is executed when the import system asks the finder, and other threads' imports wait for that.
import os
import sys
from _thread import RLock, get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
"""The folder that the package ``macfix`` is in."""

BUNDLE = ""
"""The file with macfix's modules that ``macfix enable`` wrote; ``early.py`` says where it is."""

_OFF = ("off", "0", "no", "false")  # as macfix.engine's Config has it, which is not imported here


def is_off() -> bool:
    """Whether ``MACFIX`` says that nothing is to be changed."""
    return os.environ.get("MACFIX", "").strip().lower() in _OFF


def simulate() -> None:
    """Start the simulation that ``MACFIX_SIMULATE`` asks for; what fails is one line.

    One that refuses to start ends the process: as plain Linux it would give false answers.
    """
    spec = os.environ.get("MACFIX_SIMULATE")
    if not spec or sys.platform == "darwin":
        return
    try:
        import_macfix()
        from macfix.simulate import SimulationError, start
    except Exception as error:
        report(error)
        return
    try:
        start(spec)
    except SimulationError as error:
        report(error)
        os._exit(2)


_busy: "set[tuple[int, str]]" = set()
_importing = RLock()


def find_spec(
    name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
) -> "ModuleSpec | None":
    """Find *name* behind macfix, and have macfix activated when it is loaded."""
    call = (get_ident(), name)
    if call in _busy:
        return None  # another hook asks the whole import system from inside its find_spec
    _busy.add(call)
    try:
        spec = _find_behind(name, path, target)
    finally:
        _busy.discard(call)
    if spec is not None and not _put_starter_into(spec):
        _active_finder()  # for the modules in it
    return spec


def _put_starter_into(spec: "ModuleSpec") -> bool:
    """Whether it could be done: not into a namespace, nor where an importer has its own specs."""
    if not hasattr(spec.loader, "exec_module"):
        return False
    try:
        spec.loader = Starter(spec.loader, spec)  # type: ignore[assignment]
    except Exception:
        return False
    return True


# As `macfix.engine._finder` has it, which is not imported until an upstream is loaded.
def _find_behind(
    name: str, path: "Sequence[str] | None", target: "ModuleType | None"
) -> "ModuleSpec | None":
    finders: list[Any] = list(sys.meta_path)
    while finders and not hasattr(finders.pop(0), "is_macfix"):
        pass
    for other in finders:
        if hasattr(other, "find_spec") and not hasattr(other, "is_macfix"):
            spec: ModuleSpec | None = other.find_spec(name, path, target)
            if spec is not None:
                return spec
    return None


class Starter:
    """Stands before the loader of an upstream; activates macfix when that is to load it."""

    def __init__(self, inner: "Any", spec: "ModuleSpec") -> None:
        self._inner = inner
        self._spec = spec

    def create_module(self, spec: "ModuleSpec") -> "ModuleType | None":
        loader = self._spec.loader = self._hand_over()
        create = getattr(loader, "create_module", None)
        return None if create is None else create(spec)

    def exec_module(self, module: "ModuleType") -> None:  # of a reload: it is there already
        loader = self._spec.loader = self._hand_over()
        loader.exec_module(module)

    def get_code(self, fullname: str) -> "Any":
        return self._hand_over().get_code(fullname)

    def _hand_over(self) -> "Any":
        finder = _active_finder()
        return self._inner if finder is None else finder.loader_before(self._inner, self._spec)

    def __getattr__(self, name: str) -> "Any":
        return getattr(self._inner, name)


def _active_finder() -> "Any":
    """Activate macfix, whose finder takes the place of the one that waited; None if it cannot be.

    Raises:
        PatchFailedError: with ``MACFIX_STRICT=1``; nothing else.
    """
    try:
        import_macfix()
        from macfix.engine._activate import activate, active_finder, give_up_waiting
    except Exception as error:
        _give_up_waiting()
        report(error)
        return None
    finder = active_finder() if activate(children=False) else None
    if finder is None:
        give_up_waiting()
    return finder


def _give_up_waiting() -> None:
    """Take the finder off ``sys.meta_path`` where macfix itself cannot be imported."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not hasattr(finder, "is_macfix")]


def import_macfix() -> None:
    """Import the package macfix from :data:`ROOT`, unless it is imported already.

    Raises:
        ImportError: if it is not there any more.
    """
    with _importing:
        if "macfix" not in sys.modules and not (BUNDLE and _use_bundle()):
            _import_package()


def _import_package() -> None:
    from _frozen_importlib import module_from_spec
    from _frozen_importlib_external import PathFinder

    spec = PathFinder.find_spec("macfix", [ROOT])
    if spec is None or spec.loader is None:
        raise ImportError("there is no macfix in " + ROOT)
    module = sys.modules["macfix"] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules["macfix"]
        raise


def _use_bundle() -> bool:
    """Import the package out of the bundle; whether that can be done."""
    from _frozen_importlib import ModuleSpec, module_from_spec
    from _frozen_importlib_external import SourceFileLoader

    name = "macfix.engine._bundle"
    file = os.path.join(ROOT, *name.split(".")) + ".py"
    spec = ModuleSpec(name, SourceFileLoader(name, file), origin=file)
    spec.has_location = True
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)  # type: ignore[union-attr]
    except Exception:
        return False
    sys.modules[name] = module
    if not module.use(BUNDLE, ROOT):
        del sys.modules[name]
    return "macfix" in sys.modules


def report(error: Exception) -> None:
    """Say on standard error, in one line, why macfix is not active here."""
    try:
        text = " ".join(str(error).split())
        sys.stderr.write(f"macfix: not active here: {type(error).__name__}: {text}\n")
    except Exception:
        return  # standard error is closed or None: there is nobody to tell
