"""What is done to each target: diagnoses, rewriting, execution, installs, entries in the ledger."""

from __future__ import annotations

import atexit
import logging
import sys
import traceback
from collections.abc import Mapping
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import Any

from macfix import _once
from macfix._log import listen, log

from . import cache
from .changes import Changes
from .config import Config
from .diagnosis import diagnose
from .errors import PatchFailedError, describe, warn_once
from .ledger import Entry, Ledger, Problem, State
from .patch import Answers, Diagnosis, Patch
from .plugins import Plugins
from .rewriting import rewrite
from .source import Source


class Plan:
    """What is to be done to one target.

    Attributes:
        target: its dotted name.
        path: where its source lies, as its tracebacks call it.
        code: the rewritten code, or None if the module executes as it is.
        needed: the patches that it needs and that did not fail so far, with the reasons.
    """

    def __init__(self, target: str) -> None:
        self.target, self.path = target, ""
        self.code: CodeType | None = None
        self.needed: dict[Patch, str] = {}


class Engine:
    """The patches of this process, and what is done with them.

    Attributes:
        config: the user's choices.
        plugins: what contributes patches.
        ledger: the state of every patch.
    """

    def __init__(self, config: Config, builtin: Mapping[str, str]) -> None:
        """
        Args:
            config: the user's choices.
            builtin: macfix's own plugins: the modules by name.

        Raises:
            PatchFailedError: if ``MACFIX_STRICT`` is set, and a plugin cannot be loaded or a
                variable is wrong.
        """
        _once.join_tree()
        self._modules_before = frozenset(sys.modules)
        self.config = config
        self.plugins = Plugins(config, builtin, self._problem)
        self.ledger = Ledger(self.plugins.observe)
        self._cache = cache.Cache(config.cache)
        self._changes: dict[str, dict[str, Changes]] = {}
        self._rewritten: set[str] = set()
        self._is_reverted = False
        listen(config.log)
        self.plugins.check(config)

    def chosen(self, target: str) -> list[Patch]:
        """The patches of *target* that the user wants and that this platform can need."""
        return [each for each in self.plugins.patches(target) if self._left_out(each) is None]

    def _left_out(self, patch: Patch) -> tuple[State, str] | None:
        """Why *patch* is not even looked at, if so; the simulation counts as Darwin."""
        if not self.config.selects(patch.name):
            return State.SKIPPED, "MACFIX_SKIP or MACFIX_ONLY leaves it out"
        if sys.platform in patch.platforms or patch.name in self.config.force:
            return None
        where = ", ".join(sorted(patch.platforms))
        return State.NOT_NEEDED, f"this defect exists on {where} only"

    # -- before a target executes --------------------------------------------------------------

    def plan(self, spec: ModuleSpec, loader: Any, patches: list[Patch]) -> Plan:
        """Decide which of *patches* the target of *spec*, which *loader* loads, gets.

        Raises:
            PatchFailedError: if a patch fails and ``MACFIX_STRICT`` is set; nothing else.
        """
        plan = Plan(spec.name)
        try:
            source = Source.of(spec, loader)
            plan.needed = self._needed(spec.name, source, patches)
            if source is not None:
                plan.path = source.path
                self._rewrite(plan, source, loader)
        except PatchFailedError:
            raise
        except Exception as error:  # an importer that misbehaves: the module runs as it is
            for patch in patches:
                self._failed(patch, spec.name, "looking at the source raised", error)
            return Plan(spec.name)
        return plan

    def _needed(self, target: str, source: Source | None, patches: list[Patch]) -> dict[Patch, str]:
        """Those of *patches* that *source* needs, with the reasons; the others are entered."""
        answers = self._diagnose(target, source, patches)
        needed: dict[Patch, str] = {}
        for patch in patches:
            if (answer := answers.get(patch.name)) is None:
                continue  # its diagnose() failed, and the ledger says so
            if answer.state == "needed":
                needed[patch] = answer.reason
            else:
                self._enter_diagnosis(patch, target, answer)
        return needed

    def _diagnose(self, target: str, source: Source | None, patches: list[Patch]) -> Answers:
        plugins, modules = self.plugins.plugins_of(target), [patch.module for patch in patches]
        key = source and cache.key_of(target, source.data, plugins, modules)
        answers = self._cache.read(key) if key else None
        names = {patch.name for patch in patches}
        if answers is None or answers.keys() != names:
            answers = diagnose(
                source,
                patches,
                lambda patch, error: self._failed(patch, target, "diagnose() raised", error),
            )
            # what is unknown may be so for now: for lack of memory, or as warnings are errors
            is_sure = all(answer.state != "unknown" for answer in answers.values())
            if key and answers.keys() == names and is_sure:
                self._cache.write(key, answers)
        return answers

    def _rewrite(self, plan: Plan, source: Source, loader: Any) -> None:
        def failed(patch: Patch, error: BaseException) -> None:
            del plan.needed[patch]  # half a patch is worse than none: it is not installed either
            self._failed(patch, plan.target, "rewrite() raised", error)

        rewriting = [patch for patch in plan.needed if patch.rewrite is not None]
        plan.code = rewrite(source, loader, rewriting, failed)

    def undo_installs(self, target: str) -> list[str]:
        """Undo what was installed into an earlier execution of *target*; the patches' names."""
        installed = self._changes.pop(target, {})
        for changes in installed.values():
            changes.revert()
        return list(installed)

    # -- after it has executed -----------------------------------------------------------------

    def reload_failed(self, target: str, undone: list[str], error: BaseException) -> None:
        """Enter in the ledger that *target* lost the patches *undone* by a reload that raised."""
        reason = f"it was undone for a reload, which raised {describe(error)}"
        for name in undone:
            self.ledger.enter(name, target, State.FAILED, reason)

    def executed(self, plan: Plan, module: ModuleType) -> None:
        """Install what the plan wants into *module*, which has just executed."""
        if self._is_reverted:
            return  # another thread has called deactivate() meanwhile
        if plan.code is not None:
            self._rewritten.add(plan.target)
        for patch, reason in plan.needed.items():
            if patch.install is None or self._install(patch, plan.target, module):
                self.ledger.enter(patch.name, plan.target, State.APPLIED, reason)

    def _install(self, patch: Patch, target: str, module: ModuleType) -> bool:
        assert patch.install is not None
        changes = Changes(self.ledger.notes)
        try:
            patch.install(module, changes)
        except KeyboardInterrupt:
            changes.revert()
            raise
        except BaseException as error:
            changes.revert()
            self._failed(patch, target, "install() raised", error)
            return False
        self._changes.setdefault(target, {})[patch.name] = changes
        return True

    def start(self) -> None:
        """Be the engine of this process: of several that threads build at once only one is.

        What was imported before is entered: only a live patch can still be installed there.

        Raises:
            PatchFailedError: if a patch fails and ``MACFIX_STRICT`` is set.
        """
        if log.isEnabledFor(logging.INFO) and _once.is_first("what is patched", self.config.cache):
            atexit.register(self.ledger.sum_up)
        late: dict[str, list[str]] = {}
        for target in self.plugins.targets:
            module = sys.modules.get(target)
            spec = getattr(module, "__spec__", None)
            if module is None or spec is None or getattr(spec, "_initializing", False):
                continue
            known = self.ledger.entries  # another thread may have imported it since, patched
            patches = [each for each in self.chosen(target) if (each.name, target) not in known]
            live = [patch for patch in patches if patch.live]
            if live:
                self.executed(self.plan(spec, spec.loader, live), module)
            reason = "a plugin imported it, at its top, before all patches were known"
            if target in self._modules_before:
                reason = (
                    "it was imported before macfix was activated, or past it by another import hook"
                    " (`python -m macfix PROGRAM` is earlier)"
                )
            for patch in [each for each in patches if not each.live]:
                self.ledger.enter(patch.name, target, State.LATE, f"{reason}, and is left as it is")
                late.setdefault(reason, []).append(target)
        for reason, targets in late.items():
            names = ", ".join(dict.fromkeys(targets))
            self._warn(f"{names} left as imported: {reason}")

    def revert(self) -> list[str]:
        """Undo every install; the answer says what could not be undone."""
        self._is_reverted = True  # first: what another thread imports meanwhile is left alone
        left = [
            f"{target}: its rewritten code stays until the process ends"
            for target in sorted(self._rewritten)
        ]
        for target, by_patch in reversed(self._changes.items()):
            for name, changes in reversed(by_patch.items()):
                left += [f"{target}: {name}: {problem}" for problem in changes.revert()]
        self._changes.clear()
        _once.leave_tree()
        return left

    # -- the ledger ----------------------------------------------------------------------------

    def entries(self) -> list[Entry]:
        """A line for every patch at every target, loading those that were not asked for yet."""
        return [
            self.ledger.entries.get((patch.name, target)) or self._undecided(patch, target)
            for target in self.plugins.targets
            for patch in self.plugins.patches(target)
        ]

    def _undecided(self, patch: Patch, target: str) -> Entry:
        """The line of *patch* at *target* as long as nothing has happened to it there."""
        if (left_out := self._left_out(patch)) is not None:
            return Entry(patch.name, target, *left_out)
        if target not in sys.modules:
            return Entry(patch.name, target, State.PENDING, "not imported yet")
        reason = "it was imported past macfix, by an import hook that stands before it"
        return Entry(patch.name, target, State.LATE, reason)

    def _enter_diagnosis(self, patch: Patch, target: str, answer: Diagnosis) -> None:
        state = State.NOT_NEEDED if answer.state == "not needed" else State.UNKNOWN
        self.ledger.enter(patch.name, target, state, answer.reason)
        if state is State.UNKNOWN:
            self._warn(
                f"{target}: patch {patch.name} does not know this upstream and leaves it alone: "
                f"{answer.reason}"
            )

    def _failed(self, patch: Patch, target: str, what: str, error: BaseException) -> None:
        text = "".join(traceback.format_exception(error))
        reason = f"{what}: {describe(error)}"
        self.ledger.enter(patch.name, target, State.FAILED, reason, text)
        if self.config.strict:
            raise PatchFailedError(f"{target}: patch {patch.name}: {reason}") from error
        self._warn(
            f"{target}: patch {patch.name} failed and is left out: {reason} "
            f"(`macfix status -v` shows the traceback)"
        )

    def _problem(self, problem: Problem) -> None:
        """Say what is wrong with a plugin or a variable."""
        text = f"{problem.where}: {problem.message}"
        if self.config.strict:
            raise PatchFailedError(text)
        self._warn(text)

    def _warn(self, message: str) -> None:
        warn_once(message, self.config.cache)
