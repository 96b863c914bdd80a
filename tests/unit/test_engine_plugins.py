"""Plugins: found through pluggy, one by one; what is wrong with one costs that one only."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PathDistribution
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from macfix import Entry, MacfixWarning, State, hookimpl
from macfix.engine.config import Config
from macfix.engine.engine import Engine
from macfix.engine.errors import PatchDefinitionError, PatchFailedError
from macfix.engine.patch import Patch
from macfix.engine.plugins import Plugins
from tests.support.engine import MOD, FakeUpstream, make_patch, make_plugin, states
from tests.support.surroundings import REPOSITORY


class Site:
    """A folder with distributions that contribute plugins, and no other one on the path."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder / "site"
        self.folder.mkdir()
        monkeypatch.syspath_prepend(str(self.folder))
        monkeypatch.setattr("macfix.engine.plugins._distributions", self._distributions)

    def _distributions(self) -> list[PathDistribution]:
        return [PathDistribution(place) for place in sorted(self.folder.glob("*.dist-info"))]

    def add(self, name: str, entry_points: str | bytes, metadata: bytes | None = None) -> None:
        """Lay out what is left of an installed distribution."""
        place = self.folder / f"{name}-1.dist-info"
        place.mkdir()
        data = entry_points.encode() if isinstance(entry_points, str) else entry_points
        (place / "entry_points.txt").write_bytes(data)
        whole = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n".encode()
        (place / "METADATA").write_bytes(whole if metadata is None else metadata)


@pytest.fixture(autouse=True)
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    yield Site(tmp_path, monkeypatch)
    for name in [name for name in sys.modules if name.startswith("fake_macfix_")]:
        del sys.modules[name]


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[FakeUpstream]:
    made = FakeUpstream(tmp_path)
    yield made
    made.close()


def entry_point(**modules: str) -> str:
    return "[macfix]\n" + "".join(f"{name} = {module}\n" for name, module in modules.items())


def names(plugins: Plugins) -> list[str]:
    return [patch.name for patch in plugins.all_patches()]


def problems(plugins: Plugins) -> dict[str, str]:
    return {problem.where: problem.message for problem in plugins.problems}


# -- found -----------------------------------------------------------------------------------------


def test_builtin_plugins_come_first_in_their_order_and_then_what_is_installed(site: Site) -> None:
    site.add("dist", entry_point(third=make_plugin(make_patch())))
    builtin = {"second": make_plugin(make_patch()), "first": make_plugin(make_patch())}
    plugins = Plugins(Config(), builtin)
    assert plugins.installed == ["second", "first", "third"]
    assert names(plugins) == ["second-some", "first-some", "third-some"]
    assert plugins.problems == []


def test_a_plugin_is_registered_with_pluggy_by_its_name(site: Site) -> None:
    module = make_plugin(make_patch())
    site.add("dist", entry_point(theirs=module))
    plugins = Plugins(Config(), {})
    assert plugins.manager.get_plugin("theirs") is sys.modules[module]
    assert plugins.manager.project_name == "macfix"


def test_a_plugin_may_be_any_object(site: Site) -> None:
    class Contributes:
        @hookimpl
        def macfix_targets(self) -> list[str]:
            return [MOD]

        @hookimpl
        def macfix_patches(self, target: str) -> list[object]:
            return [make_patch()]

    name = make_plugin()
    sys.modules[name].plugin = Contributes()  # type: ignore[attr-defined]
    site.add("dist", entry_point(theirs=f"{name}:plugin"))
    assert names(Plugins(Config(), {})) == ["theirs-some"]


def test_a_plugin_that_pluggy_cannot_keep_costs_itself_only(site: Site) -> None:
    @dataclass
    class NoHash:
        name: str = "a dataclass that can be changed has no hash"

    name = make_plugin()
    sys.modules[name].plugin = NoHash()  # type: ignore[attr-defined]
    site.add("dist", entry_point(theirs=f"{name}:plugin"))
    plugins = Plugins(Config(), {"own": make_plugin(make_patch())})
    assert names(plugins) == ["own-some"]
    assert problems(plugins) == {
        "theirs": "the plugin cannot be loaded: TypeError: unhashable type: 'NoHash'"
    }


def test_patches_are_asked_for_when_their_target_is(site: Site) -> None:
    asked: list[str] = []

    def macfix_patches(target: str) -> list[object]:
        asked.append(target)
        return [make_patch(target.replace(".", "-"))]

    by_target: dict[str, list[object]] = {"x.one": [], "x.two": []}
    name = make_plugin(by_target=by_target, macfix_patches=macfix_patches)
    plugins = Plugins(Config(), {"p": name})
    assert asked == []
    assert [patch.name for patch in plugins.patches("x.two")] == ["p-x-two"]
    assert [patch.name for patch in plugins.patches("x.two")] == ["p-x-two"]
    assert plugins.patches("nobody's") == ()
    assert asked == ["x.two"]


def test_stale_entry_points_of_macfix_itself_are_ignored(site: Site) -> None:
    """An editable install keeps those of the version that was installed."""
    stale = {"uds-backlog": "macfix.patches.uds_backlog", "theirs": "macfix.patches.gone"}
    site.add("macfix", entry_point(**stale))
    site.add("z-dist", entry_point(theirs=make_plugin(make_patch())))
    plugins = Plugins(Config(), {"p": make_plugin(make_patch())})
    assert (plugins.installed, plugins.problems) == (["p", "theirs"], [])
    assert names(plugins) == ["p-some", "theirs-some"]


def test_a_plugin_by_the_name_of_another_one_is_refused_aloud(site: Site) -> None:
    first, second, third, own = (make_plugin(make_patch(name)) for name in "abcd")
    site.add("a", entry_point(same=first, own=second))
    site.add("b", entry_point(same=third))
    plugins = Plugins(Config(), {"own": own})
    assert names(plugins) == ["own-d", "same-a"]
    assert problems(plugins) == {
        "own": f"{second} has the name of another plugin, {own}; ignored",
        "same": f"{third} has the name of another plugin, {first}; ignored",
    }


def test_a_distribution_that_is_found_twice_is_no_clash(site: Site) -> None:
    """As with an environment that sees the packages of another one."""
    name = make_plugin(make_patch())
    site.add("a", entry_point(same=name))
    site.add("b", entry_point(same=name))
    plugins = Plugins(Config(), {})
    assert (names(plugins), plugins.problems) == (["same-some"], [])


# -- chosen ----------------------------------------------------------------------------------------


def in_a_file(site: Site, name: str, text: str) -> str:
    """A plugin that is not imported yet."""
    (site.folder / f"{name}.py").write_text(text)
    return name


TRAP = "raise AssertionError('imported')\n"


@pytest.mark.parametrize(
    ("config", "loaded"),
    [
        (Config(), ["theirs", "others"]),
        (Config(block=frozenset({"theirs"})), ["others"]),
        (Config(plugins=frozenset({"theirs"})), ["theirs"]),
        (Config(plugins=frozenset()), []),
        (Config(plugins=frozenset({"theirs"}), block=frozenset({"theirs"})), []),
    ],
    ids=str,
)
def test_the_user_chooses_whose_code_is_loaded(
    site: Site, config: Config, loaded: list[str]
) -> None:
    modules = {name: f"fake_macfix_{name}" for name in ("theirs", "others")}
    for name in modules.values():
        in_a_file(site, name, "import macfix\n@macfix.hookimpl\ndef macfix_targets(): ...\n")
    site.add("dist", entry_point(**modules))
    own = make_plugin(make_patch())
    plugins = Plugins(config, {"own": own})
    assert [name for name in modules if modules[name] in sys.modules] == loaded
    assert names(plugins) == ["own-some"]
    assert plugins.installed == ["own", "theirs", "others"]
    assert plugins.problems == []


def test_one_of_macfixs_own_can_be_blocked_but_needs_no_permission() -> None:
    builtin = {"one": make_plugin(make_patch()), "two": make_plugin(make_patch())}
    chosen = Config(block=frozenset({"one"}), plugins=frozenset())
    assert names(Plugins(chosen, builtin)) == ["two-some"]


# -- broken ----------------------------------------------------------------------------------------

ERRORS = [ZeroDivisionError("wrong"), SystemExit(3), BaseException("base")]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
@pytest.mark.parametrize("place", ["import", "macfix_targets", "macfix_patches", "macfix_outcome"])
def test_what_a_plugin_raises_costs_that_plugin_only(
    site: Site, place: str, error: BaseException
) -> None:
    def broken(**_: object) -> Any:
        raise error

    hooks: dict[str, Any] = {
        "macfix_targets": lambda: broken(),
        "macfix_patches": lambda target: broken(),
        "macfix_outcome": lambda entry: broken(),
    }
    if place == "import":
        name = in_a_file(site, "fake_macfix_plugin_in_a_file", f"raise {error!r}")
    else:
        name = make_plugin(**{place: hooks[place]})
    site.add("a", entry_point(broken=name))
    site.add("b", entry_point(sound=make_plugin(make_patch())))
    plugins = Plugins(Config(), {"own": make_plugin(make_patch())})
    assert names(plugins) == ["own-some", "sound-some"]
    plugins.observe(Entry("own-some", MOD, State.PENDING, "not imported yet"))
    (problem,) = plugins.problems
    assert problem.where == "broken"
    assert f"{type(error).__name__}: {error}" in problem.message
    assert "Traceback" in (problem.traceback or "")


@pytest.mark.parametrize(
    ("hook", "answer", "told"),
    [
        ("macfix_targets", None, None),
        ("macfix_targets", 17, "macfix_targets raised TypeError"),
        (
            "macfix_targets",
            [17],
            "macfix_targets gave an object of <class 'int'>, which is no module name",
        ),
        ("macfix_patches", None, None),
        ("macfix_patches", ["text"], "gave 'text', which is no module"),
        ("macfix_patches", "text", "gave 'text', which is no module"),
    ],
)
def test_what_a_hook_must_not_answer_is_said(hook: str, answer: object, told: str | None) -> None:
    arguments = {"macfix_targets": lambda: answer, "macfix_patches": lambda target: answer}
    plugins = Plugins(Config(), {"odd": make_plugin(**{hook: arguments[hook]})})
    assert names(plugins) == []
    assert [told in problem.message for problem in plugins.problems if told] == [True] * bool(told)


def test_one_target_need_not_be_in_a_list() -> None:
    plugin = make_plugin(make_patch(), macfix_targets=lambda: MOD)
    assert [*Plugins(Config(), {"odd": plugin}).targets] == [MOD]


def test_a_plugin_without_hooks_is_said_to_have_none(site: Site) -> None:
    site.add("a", entry_point(forgot="json"))
    message = problems(Plugins(Config(), {}))["forgot"]
    assert message == "it has no hooks: do its functions lack @macfix.hookimpl?"


def test_one_plugin_by_two_names_is_told_in_a_line(site: Site) -> None:
    plugin = make_plugin(make_patch())
    site.add("a", entry_point(one=plugin, other=plugin))
    plugins = Plugins(Config(), {})
    assert names(plugins) == ["one-some"]
    assert "registered under a different name" in problems(plugins)["other"]
    assert "\n" not in problems(plugins)["other"]


def test_an_interrupt_inside_a_plugin_is_the_users() -> None:
    def macfix_targets() -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Plugins(Config(), {"p": make_plugin(macfix_targets=macfix_targets)})


def test_a_plugin_that_is_not_there_is_a_problem_and_no_more(site: Site) -> None:
    site.add("a", entry_point(absent="fake_macfix_absent", half=f"{make_plugin()}:absent"))
    plugins = Plugins(Config(), {"own": make_plugin(make_patch())})
    assert names(plugins) == ["own-some"]
    assert list(problems(plugins)) == ["absent", "half"]


def test_a_hook_that_macfix_does_not_have_costs_its_plugin() -> None:
    odd = make_plugin(make_patch(), macfix_patchez=lambda: None)
    plugins = Plugins(Config(), {"odd": odd, "sound": make_plugin(make_patch())})
    assert names(plugins) == ["sound-some"]
    assert "macfix_patchez" in problems(plugins)["odd"]


@pytest.mark.parametrize("broken", [b"[macfix]\nno value\n", b"[macfix]\nb = \xff\xfe\n"])
def test_entry_points_that_cannot_be_read_cost_their_distribution_only(
    site: Site, broken: bytes
) -> None:
    site.add("a-broken", broken)
    site.add("b-sound", entry_point(sound=make_plugin(make_patch())))
    plugins = Plugins(Config(), {})
    assert names(plugins) == ["sound-some"]
    assert [where for where in problems(plugins) if "a-broken-1.dist-info" in where]
    assert "its entry points cannot be read" in str(problems(plugins))


@pytest.mark.parametrize("metadata", [b"", b"Name: \xff\n"])
def test_a_distribution_whose_metadata_cannot_be_read_may_have_plugins(
    site: Site, metadata: bytes
) -> None:
    """Somebody else's old package is no reason for a warning, nor to lose a plugin."""
    site.add("a-odd", "", metadata)
    site.add("b-odd", entry_point(odd=make_plugin(make_patch())), metadata)
    plugins = Plugins(Config(), {})
    assert (names(plugins), plugins.problems) == (["odd-some"], [])


@pytest.mark.usefixtures("upstream")
def test_strict_makes_a_broken_plugin_an_error() -> None:
    with pytest.warns(MacfixWarning, match="no_such_plugin"):
        Engine(Config(), {"p": "no_such_plugin"})
    with pytest.raises(PatchFailedError, match="no_such_plugin"):
        Engine(Config(strict=True), {"p": "no_such_plugin"})


def test_a_broken_plugin_is_one_warning_and_keeps_its_traceback(upstream: FakeUpstream) -> None:
    def macfix_patches(target: str) -> Any:
        raise ZeroDivisionError("the plugin is wrong")

    upstream.write(MOD, "answer = 1")
    broken = make_plugin(macfix_patches=macfix_patches)
    engine = upstream.patch(plugins={"broken": broken, "sound": make_plugin(make_patch())})
    with pytest.warns(MacfixWarning, match="broken: macfix_patches raised") as warned:
        assert upstream.load().answer == 42
    assert len(warned) == 1
    assert states(engine) == {f"sound-some@{MOD}": "applied"}
    (problem,) = engine.plugins.problems
    assert "in macfix_patches" in (problem.traceback or "")


@pytest.mark.parametrize("error", [ZeroDivisionError("not today"), SystemExit("not today")])
def test_a_module_that_raises_as_it_is_looked_at_costs_itself_only(
    upstream: FakeUpstream, error: BaseException
) -> None:
    class Lazy(ModuleType):
        def __getattr__(self, name: str) -> Any:
            raise error

    upstream.write(MOD, "answer = 1")
    plugin = make_plugin(Lazy("fake_macfix_patches.lazy"), make_patch())
    engine = upstream.patch(plugins={"p": plugin})
    with pytest.warns(MacfixWarning, match="a patch module raised .*: not today; ignored"):
        assert upstream.load().answer == 42
    assert states(engine) == {f"p-some@{MOD}": "applied"}


def test_targets_without_a_text_cost_themselves_only() -> None:
    class Mute:
        def __repr__(self) -> str:
            raise ZeroDivisionError

    mute = make_plugin(macfix_targets=lambda: [Mute()])
    plugins = Plugins(Config(), {"mute": mute, "sound": make_plugin(make_patch())})
    assert names(plugins) == ["sound-some"]
    assert "Mute" in problems(plugins)["mute"]


def test_strict_is_strict_at_every_import(upstream: FakeUpstream) -> None:
    def macfix_patches(target: str) -> Any:
        raise ZeroDivisionError("the plugin is wrong")

    upstream.write(MOD, "answer = 1")
    broken = make_plugin(macfix_patches=macfix_patches)
    upstream.patch(plugins={"broken": broken}, config=Config(strict=True))
    for _ in range(3):
        with pytest.raises(PatchFailedError, match="the plugin is wrong"):
            upstream.load()


def test_strict_says_a_thing_as_it_is(site: Site) -> None:
    site.add("a", entry_point(forgot="json"))
    with pytest.raises(PatchFailedError) as raised:
        Engine(Config(strict=True), {})
    assert str(raised.value) == "forgot: it has no hooks: do its functions lack @macfix.hookimpl?"


@pytest.mark.parametrize(
    ("config", "loads"),
    [
        (Config(), False),
        (Config(block=frozenset({"b"})), False),
        (Config(plugins=frozenset({"b"})), False),
        (Config(skip=frozenset({"a-b"})), True),
        (Config(only=frozenset({"a-b"})), True),
        (Config(force=frozenset({"a-b"})), True),
    ],
    ids=["none", "block", "plugins", "skip", "only", "force"],
)
def test_all_patches_are_loaded_to_know_their_names_only(config: Config, loads: bool) -> None:
    asked: list[str] = []

    def macfix_patches(target: str) -> list[object]:
        asked.append(target)
        return [make_patch()]

    plugins = Plugins(config, {"p": make_plugin(macfix_patches=macfix_patches)})
    plugins.check(config)
    assert bool(asked) == loads


# -- observers -------------------------------------------------------------------------------------


def test_plugins_are_told_the_state_of_each_patch(upstream: FakeUpstream) -> None:
    seen: list[str] = []

    def macfix_outcome(entry: Any) -> None:
        seen.append(f"{entry.patch} {entry.target} {entry.state}")

    upstream.write(MOD, "answer = 1")
    observer = make_plugin(by_target={}, macfix_outcome=macfix_outcome)
    upstream.patch(plugins={"fake": make_plugin(make_patch()), "observer": observer})
    upstream.load()
    assert seen == [f"fake-some {MOD} applied"]


def test_an_observer_that_raises_is_told_of_at_once(upstream: FakeUpstream) -> None:
    def macfix_outcome(entry: Any) -> None:
        raise ZeroDivisionError("it looks away")

    upstream.write(MOD, "answer = 1")
    observer = make_plugin(by_target={}, macfix_outcome=macfix_outcome)
    plugins = {"fake": make_plugin(make_patch()), "observer": observer}
    upstream.patch(plugins=plugins)
    with pytest.warns(MacfixWarning, match="observer: macfix_outcome raised ZeroDivisionErr"):
        assert upstream.load().answer == 42
    upstream.forget()
    upstream.patch(plugins=plugins, config=Config(strict=True))
    with pytest.raises(PatchFailedError, match="it looks away"):
        upstream.load()


# -- a patch module --------------------------------------------------------------------------------


async def never_awaited(module: object, changes: object) -> None:
    """What would count as applied and do nothing."""


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({"diagnose": None}, r"fake_macfix_patches\.some: it has no diagnose\(source\)"),
        ({"install": None}, r"needs rewrite\(tree\) or install\(module, changes\)"),
        ({"install": 1}, r"install must be a function \(not an async one\), not 1"),
        ({"install": never_awaited}, "install must be a function .*, not <function never_awaited"),
        ({"repro": "text"}, "repro must be a function"),
        ({"PLATFORMS": frozenset()}, "PLATFORMS must be a frozenset"),
        ({"PLATFORMS": "darwin"}, "PLATFORMS must be a frozenset"),
        ({"PLATFORMS": frozenset({("darwin",)})}, "PLATFORMS must be a frozenset"),
        ({"LIVE": "yes"}, "LIVE must be True, for a patch without rewrite"),
        ({"LIVE": True, "rewrite": lambda tree: tree}, "LIVE must be True, for a patch without"),
    ],
)
def test_a_patch_module_that_is_not_well_formed_says_what_is_wrong(
    contents: dict[str, Any], message: str
) -> None:
    module = make_patch(**({"install": lambda module, changes: None} | contents))
    with pytest.raises(PatchDefinitionError, match=message):
        Patch.of(module, "fake")
    plugins = Plugins(Config(), {"fake": make_plugin(module, make_patch("sound"))})
    assert names(plugins) == ["fake-sound"]
    assert problems(plugins)["fake"].endswith("; ignored")


def test_a_patch_goes_by_the_names_of_its_plugin_and_its_module() -> None:
    patch = Patch.of(make_patch("two-words", PLATFORMS=frozenset({"beos"}), LIVE=True), "fake")
    assert (patch.name, patch.plugin) == ("fake-two-words", "fake")
    assert (patch.module, patch.live) == ("fake_macfix_patches.two_words", True)
    assert patch.platforms == {"beos"}
    with pytest.raises(AttributeError):
        patch.name = "other"  # type: ignore[misc]


def test_a_defect_is_darwins_unless_its_module_says_otherwise() -> None:
    module = make_patch()
    del module.PLATFORMS
    patch = Patch.of(module, "fake")
    assert (patch.platforms, patch.live) == (frozenset({"darwin"}), False)


def test_a_patch_name_counts_once() -> None:
    one, two = make_plugin(make_patch("b-c")), make_plugin(make_patch("c"))
    plugins = Plugins(Config(), {"a": one, "a-b": two})
    assert names(plugins) == ["a-b-c"]
    assert "its name 'a-b-c' is taken by fake_macfix_patches.b_c" in problems(plugins)["a-b"]


def test_a_patch_that_is_given_twice_counts_once() -> None:
    patch = make_patch()
    plugins = Plugins(Config(), {"a": make_plugin(patch, patch)})
    assert names(plugins) == ["a-some"] and len(plugins.patches(MOD)) == 1


# -- macfix's own ----------------------------------------------------------------------------------


def test_the_entry_points_of_the_distribution_are_the_builtin_plugins() -> None:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        tomllib = pytest.importorskip("tomli")
    from macfix.activation.activate import BUILTIN

    with (REPOSITORY / "pyproject.toml").open("rb") as file:
        points = tomllib.load(file)["project"]["entry-points"]["macfix"]
    assert list(points.items()) == list(BUILTIN.items())
    folders = {file.parent.name for file in (REPOSITORY / "macfix/patches").glob("*/__init__.py")}
    assert folders == set(BUILTIN)


def test_type_checkers_of_plugins_are_told_that_macfix_is_typed() -> None:
    assert "Typing :: Typed" in (REPOSITORY / "pyproject.toml").read_text()
    assert (REPOSITORY / "macfix" / "py.typed").is_file()  # PEP 561: without it they look away


def test_every_builtin_patch_is_a_file_that_says_what_it_does() -> None:
    """One defect, one file; each with its sections, and with a way to see it."""
    from macfix.activation.activate import BUILTIN
    from macfix.cli import documentation

    plugins = Plugins(Config(), BUILTIN)
    assert plugins.problems == []
    assert documentation.problems(plugins) == []
    assert [patch.name for patch in plugins.all_patches() if patch.repro is None] == []
    folder = REPOSITORY / "macfix" / "patches"
    files = {file.relative_to(REPOSITORY).with_suffix("") for file in folder.glob("*/[!_]*.py")}
    modules = {patch.module for patch in plugins.all_patches()}
    assert modules <= {".".join(file.parts) for file in files}
