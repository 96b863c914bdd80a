"""Imports mutants of every target that can be imported here, without macfix and with it.

Run as ``python -m tests.support.mutation_run COUNT SEED [TARGET ...]`` in a process of its own;
without targets all are meant. Prints one JSON object: how many mutants there were of each target,
the outcome of each, and where macfix was to blame for anything.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
import warnings
from collections import Counter
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from types import CodeType, ModuleType
from typing import Any

from macfix.activation.activate import BUILTIN
from macfix.engine.config import Config
from macfix.engine.engine import Engine
from macfix.engine.finder import Finder
from macfix.engine.ledger import State
from tests.support import builtin
from tests.support.mutants import mutants

Outcome = tuple[str, ...]


HAS_NONE = "tractor.ipc._uds"
"""Patched, it has None for Linux's numbers, as upstream's own fix does: misuse is told of None."""


class MutantLoader:
    """Loads one module from a source in memory."""

    def __init__(self, path: str, source: bytes) -> None:
        self.path, self.source = path, source

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def get_filename(self, name: str) -> str:
        return self.path

    def get_data(self, path: str) -> bytes:
        return self.source

    def source_to_code(self, data: Any, path: str) -> CodeType:
        code: CodeType = compile(data, path, "exec", dont_inherit=True)
        return code

    def exec_module(self, module: ModuleType) -> None:
        exec(self.source_to_code(self.source, self.path), module.__dict__)


class Imports:
    """Imports mutants of one target."""

    def __init__(self, target: str) -> None:
        original = importlib.import_module(target)
        assert original.__file__ is not None
        self.target, self.path = target, original.__file__
        self.is_package = hasattr(original, "__path__")
        with open(self.path, "rb") as file:
            self.source = file.read()

    def outcome(self, source: bytes, engine: Engine | None) -> tuple[Outcome, dict[str, str]]:
        """The outcome of importing *source*, and the types of the names that the module has."""
        inner = MutantLoader(self.path, source)
        spec = ModuleSpec(self.target, inner, origin=self.path, is_package=self.is_package)
        spec.has_location = True
        if engine is not None:
            finder = Finder((), lambda: engine)
            finder.engine = engine
            finder.put_loader_into(spec)
        before = sys.modules.get(self.target)
        module = module_from_spec(spec)
        sys.modules[self.target] = module
        try:
            assert spec.loader is not None
            spec.loader.exec_module(module)
        except Exception as error:
            said = re.sub(r"0x[0-9a-f]{6,}", "0x…", str(error))  # no object lies there twice
            return ("raised", type(error).__name__, said), {}
        finally:
            if before is not None:
                sys.modules[self.target] = before
            else:
                del sys.modules[self.target]
        return ("imported",), {name: type(v).__name__ for name, v in vars(module).items()}


def main(count: int, seed: int, *targets: str) -> dict[str, Any]:
    """Import *count* mutants of each target; the answer is what is printed."""
    warnings.simplefilter("ignore")
    config = Config(force=frozenset(builtin.patches()), plugins=frozenset())
    seen: dict[str, dict[str, int]] = {}
    blame: list[dict[str, Any]] = []
    raised: dict[str, Outcome] = {}
    for target in targets or sorted(builtin.plugins().targets):
        if not _can_be_imported(target):
            continue
        imports = Imports(target)
        outcomes: Counter[str] = Counter()
        for what, source in mutants(imports.source, count, seed):
            name, problem, alone, patched = _compare(imports, source, config)
            outcomes[name] += 1
            which = f"{target}: {what}"
            if alone[0] == "raised":
                raised[which] = alone
            if problem:
                blame.append(
                    {"target": target, "mutant": which, "problem": problem, "patched": patched}
                )
        seen[target] = dict(outcomes)
    return {"seen": seen, "blame": blame, "raised": raised}


def _compare(
    imports: Imports, source: bytes, config: Config
) -> tuple[str, str | None, Outcome, Outcome]:
    """The outcome of a mutant in a word; what macfix is to blame for; alone, and with macfix."""
    alone, names_alone = imports.outcome(source, None)
    engine = Engine(config, BUILTIN)
    patched, names = imports.outcome(source, engine)
    names_of_patches = [patch.name for patch in engine.plugins.patches(imports.target)]
    entries = [engine.ledger.entries.get((name, imports.target)) for name in names_of_patches]
    states = {entry.state for entry in entries if entry is not None}
    if imports.target == HAS_NONE:
        patched = tuple(word.replace("'NoneType' object", "'int' object") for word in patched)
    left = engine.revert()
    problem = None
    if not_undone := [line for line in left if "rewritten code" not in line]:
        problem = f"not undone: {not_undone}"
    elif patched[0] == "raised" and patched != alone:
        problem = f"a new exception: {patched}, alone: {alone}"
    elif State.APPLIED not in states and names != names_alone and alone[0] == "imported":
        problem = f"changed without a patch: {_difference(names, names_alone)}"
    return _in_a_word(alone, patched, states, problem), problem, alone, patched


def _in_a_word(alone: Outcome, patched: Outcome, states: set[State], problem: str | None) -> str:
    if problem:
        return "to be looked at"
    if patched[0] == "raised":
        return "raises as it would"
    if alone[0] == "raised":
        return "patched what could not be imported"
    return "imported and patched" if State.APPLIED in states else "imported as it is"


def _difference(names: dict[str, str], others: dict[str, str]) -> list[str]:
    return sorted(set(names.items()) ^ set(others.items()))[:6]  # type: ignore[arg-type]


def _can_be_imported(target: str) -> bool:
    try:
        if find_spec(target) is None:
            return False
        importlib.import_module(target)
    except Exception:
        return False  # it is not on this machine, or cannot be imported unpatched either
    return True


if __name__ == "__main__":
    os.environ.pop("MACFIX_ONLY", None)
    sys.stdout.write(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])) + "\n")
