"""What happens when the finder of ``early.py`` has seen an upstream, or has to do more than wait.

Executed by its path. It finds the package ``macfix`` by where it lies itself,
never by searching ``sys.path``: that could find another one, in the current directory for instance.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

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


def find_spec(
    name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
) -> ModuleSpec | None:
    """Activate macfix, which takes the place of the finder that waited, and ask it for *name*.

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
        return None
    return finder.find_spec(name, path, target)


def _give_up_waiting() -> None:
    """Take the finder off ``sys.meta_path`` where macfix itself cannot be imported."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not hasattr(finder, "is_macfix")]


def import_macfix() -> None:
    """Import the package macfix from :data:`ROOT`, unless it is imported already.

    Raises:
        ImportError: if it is not there any more.
    """
    if "macfix" in sys.modules or (BUNDLE and _use_bundle()):
        return
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
