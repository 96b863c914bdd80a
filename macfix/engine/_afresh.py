"""What is done to a target that the cache does not know: verdicts of its patches, rewriting."""

from __future__ import annotations

from ._cache import Record
from ._engine import does_not_parse
from ._patch import Patch, Verdict, unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ast
    from typing import Any

    from ._engine import Engine, Plan
    from ._patch_set import Deferred
    from ._source import Source


def plan_afresh(
    engine: Engine, source: Source, loader: Any, patches: list[Patch | Deferred]
) -> tuple[Plan, Record | None]:
    """What is to be done to *source*, and what the cache may keep of that: nothing if one failed.

    Raises:
        PatchFailedError: if a patch fails and ``MACFIX_STRICT`` is set.
    """
    verdicts = _verdicts_on(source, patches, engine)
    plan = engine.plan_from(verdicts, source, patches)
    _rewrite(plan, source, loader, engine)
    is_whole = not plan.failed and len(verdicts) == len(patches)
    return plan, Record(verdicts, plan.code) if is_whole else None


def _verdicts_on(
    source: Source, patches: list[Patch | Deferred], engine: Engine
) -> dict[str, Verdict]:
    """What each of *patches* says of *source*, by its name; without those that fail."""
    verdicts: dict[str, Verdict] = {}
    for listed in patches:
        patch = engine.load(listed, source.module)
        if patch is None:
            continue
        try:
            verdict = patch.needed(source)
            if not isinstance(verdict, Verdict):
                raise TypeError(f"needed() gave {verdict!r}, not a Verdict")
            verdicts[patch.name] = verdict
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            problem = _unparsable(source)
            if problem is not None:
                return {patch.name: unknown(problem) for patch in patches}
            engine.fail(patch, source.module, "needed() raised", error)
    return verdicts


def _rewrite(plan: Plan, source: Source, loader: Any, engine: Engine) -> None:
    """Rewrite *source* for one patch after the other; one that fails is left out, whole."""
    if not plan.rewritten:
        return
    from ._compile import compile_for

    done: list[Patch] = []
    for patch in plan.rewritten:
        try:
            plan.code = compile_for(loader, _rewritten_tree(source, [*done, patch]), source)
            done.append(patch)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            plan.failed.add(patch.name)
            engine.fail(patch, source.module, "rewrite() raised", error)
    plan.rewritten = done
    # half a patch is worse than none: what cannot be rewritten is not installed either
    plan.installs = [patch for patch in plan.installs if patch.name not in plan.failed]


def _unparsable(source: Source) -> str | None:
    try:
        source.tree  # noqa: B018
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return does_not_parse(error)
    return None


def _rewritten_tree(source: Source, patches: list[Patch]) -> ast.Module:
    import ast

    tree = source.parse()  # a new one each time: a rewrite that fails half-way has spoilt its own
    for patch in patches:
        assert patch.rewrite is not None
        tree = patch.rewrite(tree)
    return ast.fix_missing_locations(tree)
