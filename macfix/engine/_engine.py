"""What happens to one target: verdicts, rewriting, execution, install, ledger."""

from __future__ import annotations

from importlib.machinery import SourceFileLoader
from zipimport import zipimporter

from ._bundle import known_states
from ._cache import Cache, default_folder, key_of
from ._changes import Changes
from ._errors import PatchFailedError, describe, warn
from ._fingerprint import fingerprint
from ._patch import Patch, Verdict, unknown
from ._patch_set import Deferred, PatchSet, find_patches, loaded
from ._safe_imports import SafeImports
from ._source import Source

TYPE_CHECKING = False  # not typing's, and few imports: this is loaded with every upstream
if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType
    from typing import Any

    from ._config import Config
    from ._ledger import Ledger, Outcome, StateName


class Plan:
    """What will be done to one target.

    Attributes:
        path: where the target's source lies, as its tracebacks call it.
        code: the rewritten bytecode, or None if the module executes as it is.
        rewritten: the patches whose rewriting is in ``code``.
        installs: the patches to install after execution.
        reasons: why each of the two kinds is needed, by patch name.
        failed: names of the patches that raised on the way.
    """

    def __init__(self, path: str = "") -> None:
        self.path = path
        self.code: CodeType | None = None
        self.rewritten: list[Patch] = []
        self.installs: list[Patch] = []
        self.reasons: dict[str, str] = {}
        self.failed: set[str] = set()


class Engine:
    """The patches of this process and what became of them."""

    def __init__(self, config: Config, builtin: Iterable[str] = ()) -> None:
        self.config = config
        self.notes: dict[str, str] = {}
        self.rewritten: set[str] = set()
        self._outcomes: dict[tuple[str, str], Outcome] = {}
        self._changes: dict[str, dict[str, Changes]] = {}
        self._cache = Cache(default_folder())
        self._folder_states = known_states()
        self.patches: PatchSet = find_patches(config, builtin, self._cache)
        self._report_problems()

    # -- what there is to do -------------------------------------------------------------------

    def targets(self) -> list[str]:
        """The dotted names of all targets."""
        return list(self.patches.by_target)

    def applicable(self, target: str) -> list[Patch | Deferred]:
        """The patches of *target* that the user wants and that this platform can need."""
        return [
            patch
            for patch in self.patches.by_target.get(target, ())
            if self.config.selects(patch.name)
            and (patch.fits_platform() or patch.name in self.config.force)
        ]

    def plan(self, spec: ModuleSpec, loader: Any) -> Plan:
        """Decide what to do to the target of *spec*, which *loader* loads.

        Raises:
            PatchFailedError: if a patch fails and ``MACFIX_STRICT`` is set; nothing else.
        """
        try:
            with SafeImports():
                return self._plan(spec, loader)
        except PatchFailedError:
            raise
        except Exception as error:  # an importer that misbehaves: the module runs as it is
            for patch in self.applicable(spec.name):
                self.fail(patch, spec.name, "looking at the source raised", error)
            return Plan()

    def _plan(self, spec: ModuleSpec, loader: Any) -> Plan:
        patches = self.applicable(spec.name)
        source = Source.of(spec, loader) if patches else None
        if source is None:
            for patch in patches:
                self._judge(patch, spec.name, unknown("its source cannot be read"))
            return Plan()
        key = self._cache_key(source, loader, patches)
        record = self._cache.read(key) if key else None
        if record is None or record.verdicts.keys() != {patch.name for patch in patches}:
            return self._plan_afresh(source, loader, patches, key)
        plan = self.plan_from(record.verdicts, source, patches)
        if plan.failed:  # a patch that cannot be imported: the code may have been rewritten for it
            return self._plan_afresh(source, loader, patches, None)
        plan.code = record.code
        return plan

    def _plan_afresh(
        self, source: Source, loader: Any, patches: list[Patch | Deferred], key: str | None
    ) -> Plan:
        from ._afresh import plan_afresh

        plan, record = plan_afresh(self, source, loader, patches)
        if key and record is not None:
            self._cache.write(key, record)
        return plan

    def plan_from(
        self, verdicts: dict[str, Verdict], source: Source, patches: list[Patch | Deferred]
    ) -> Plan:
        """What *verdicts* on *source*, by patch name, say that is to be done to it."""
        plan, target = Plan(source.path), source.module
        for listed in patches:
            verdict = verdicts.get(listed.name)
            if verdict is None:
                continue  # its needed() failed, and the ledger says so
            if verdict.state != "needed":
                self._judge(listed, target, verdict)
                continue
            patch = self.load(listed, target)
            if patch is None:
                plan.failed.add(listed.name)
                continue
            plan.reasons[patch.name] = verdict.reason
            if patch.rewrite is not None:
                plan.rewritten.append(patch)
            if patch.install is not None:
                plan.installs.append(patch)
        return plan

    def load(self, patch: Patch | Deferred, target: str) -> Patch | None:
        """*patch*, or None if it cannot be imported, which the ledger says then."""
        try:
            return loaded(patch)
        except Exception as error:
            self.fail(patch, target, "it cannot be imported", error)
            return None

    def _cache_key(
        self, source: Source, loader: Any, patches: list[Patch | Deferred]
    ) -> str | None:
        if type(loader) not in (SourceFileLoader, zipimporter):
            return None  # somebody else's loader may compile differently at each start
        digest = fingerprint(patches, self.patches.homes, self._folder_states)
        return digest and key_of(source.module, source.path, source.data, digest)

    # -- doing it ------------------------------------------------------------------------------

    def before_execution(self, target: str) -> list[str]:
        """Undo what was installed into an earlier execution of *target* (a reload).

        Returns:
            The names of the patches that are undone.
        """
        installed = self._changes.pop(target, {})
        for changes in installed.values():
            changes.revert()
        return list(installed)

    def execution_failed(
        self, plan: Plan, target: str, undone: list[str], error: BaseException
    ) -> None:
        """Enter in the ledger that *target* does not parse, or what it lost by a failed reload.

        Args:
            plan: what was to be done to it.
            target: the module, which after a reload stays as far as it came.
            undone: the patches that were installed into its earlier execution.
            error: what its execution raised.
        """
        reason = f"it was undone for a reload, which raised {describe(error)}"
        for name in undone:
            self._enter(name, target, "failed", reason)
        if isinstance(error, SyntaxError) and error.filename == plan.path:
            for patch in self.applicable(target):
                if patch.name in plan.reasons:  # it looked at a sound part of the source
                    self._judge(patch, target, unknown(does_not_parse(error)))

    def after_execution(self, plan: Plan, target: str, module: ModuleType) -> None:
        """Install what the plan wants into *module*, which has just executed."""
        if plan.rewritten:
            self.rewritten.add(target)
        with SafeImports():
            for patch in plan.installs:
                self._install(patch, plan, target, module)
        for name, reason in plan.reasons.items():
            if name not in plan.failed:
                self._enter(name, target, "applied", reason)

    def _install(self, patch: Patch, plan: Plan, target: str, module: ModuleType) -> None:
        assert patch.install is not None
        changes = Changes()
        try:
            patch.install(module, changes)
        except KeyboardInterrupt:
            changes.revert()
            raise
        except BaseException as error:
            changes.revert()
            plan.failed.add(patch.name)
            self.fail(patch, target, "install() raised", error)
        else:
            self._changes.setdefault(target, {})[patch.name] = changes

    def revert(self) -> list[str]:
        """Undo every install; the answer says what could not be undone."""
        left = [
            f"{target}: its rewritten code stays until the process ends"
            for target in sorted(self.rewritten)
        ]
        for target, by_patch in reversed(self._changes.items()):
            for name, changes in reversed(by_patch.items()):
                left += [f"{target}: {name}: {problem}" for problem in changes.revert()]
        self._changes.clear()
        return left

    # -- the ledger ----------------------------------------------------------------------------

    def mark_late(
        self, imported: Iterable[str], why: str = "it was imported before macfix was activated"
    ) -> list[str]:
        """Enter the targets that are in *imported* already; they stay as they are."""
        late = []
        reason = f"{why}, and is left as it is"
        for target in imported:
            for patch in self.applicable(target):
                self._enter(patch.name, target, "target already imported", reason)
                late.append(target)
        return list(dict.fromkeys(late))

    def leave_alone(self, target: str, why: str) -> None:
        """Enter that *target* runs as it is, as macfix cannot look at it."""
        for patch in self.applicable(target):
            self._judge(patch, target, unknown(why))

    @property
    def ledger(self) -> Ledger:
        """What became of every patch, for who wants to look at it."""
        from ._ledger import Ledger

        return Ledger(self.patches, self.config, self._outcomes, self.notes)

    def _report_problems(self) -> None:
        known = self.patches.origin
        for name in self.config.unknown_patches(known):
            from ._ledger import Problem

            message = f"there is no patch {name!r}; there are: {', '.join(sorted(known)) or 'none'}"
            self.patches.problems.append(
                Problem("MACFIX_SKIP, MACFIX_ONLY or MACFIX_FORCE", message)
            )
        for problem in self.patches.problems:
            warn(f"{problem.where}: {problem.message}")
        if self.config.strict and self.patches.problems:
            raise PatchFailedError(
                "; ".join(f"{p.where}: {p.message}" for p in self.patches.problems)
            )

    def _judge(self, patch: Patch | Deferred, target: str, verdict: Verdict) -> None:
        if verdict.state == "not needed":
            self._enter(patch.name, target, "not needed", verdict.reason)
            return
        self._enter(patch.name, target, "unknown upstream", verdict.reason)
        warn(
            f"{target}: patch {patch.name} does not know this upstream and leaves it alone: "
            f"{verdict.reason}"
        )

    def fail(self, patch: Patch | Deferred, target: str, what: str, error: BaseException) -> None:
        """Enter in the ledger that *patch* failed at *target*, and warn.

        Raises:
            PatchFailedError: if ``MACFIX_STRICT`` is set.
        """
        import traceback

        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        reason = f"{what}: {describe(error)}"
        self._enter(patch.name, target, "failed", reason, text)
        if self.config.strict:
            raise PatchFailedError(f"{target}: patch {patch.name}: {reason}") from error
        warn(
            f"{target}: patch {patch.name} failed and is left out: {reason} "
            f"(`macfix status` has the traceback)"
        )

    def _enter(
        self, patch: str, target: str, state: StateName, reason: str, traceback: str | None = None
    ) -> None:
        self._outcomes[patch, target] = (state, reason, traceback)
        if self.patches.observe is not None:
            from ._ledger import Entry, State

            self.patches.observe(Entry(patch, target, State(state), reason, traceback))


def does_not_parse(error: BaseException) -> str:
    """The reason that the ledger gives for a source whose parsing raised *error*."""
    return f"its source does not parse on this Python: {error}"
