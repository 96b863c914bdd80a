"""What the shared memory patches put in place of upstream's functions, function by function."""

from __future__ import annotations

import logging
import os
import resource
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import shared_memory as stock
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from macfix import Changes
from macfix.darwin.limits import OpenFiles
from macfix.darwin.segments import registry, shared_memory
from macfix.darwin.segments.kernel import probe
from macfix.darwin.segments.names import kernel_name
from macfix.darwin.segments.shared_memory import ShareableList, SharedMemory, shm_unlink
from macfix.patches.shm import (
    half_open,
    maybe_open,
    names,
    open_files,
    shortening,
    teardown,
    token_check,
    token_key,
)
from tests.support.segment_owners import fresh_registry

KEY = f"macfix-install-{os.getpid()}.xsimusdt.simx.hist"
DTYPE = [("index", "<i8")]

Install = Callable[[Any, ModuleType], dict[str, str]]


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep the registry of this process where this test's home is."""
    with fresh_registry(monkeypatch):
        yield


@pytest.fixture
def install() -> Iterator[Install]:
    """Install patches into modules, and give what they note; afterwards all is reverted."""
    made: list[Changes] = []

    def into(patch: Any, module: ModuleType) -> dict[str, str]:
        notes: dict[str, str] = {}
        made.append(Changes(notes))
        patch.install(module, made[-1])
        return notes

    yield into
    for changes in reversed(made):
        assert changes.revert() == []


def module_with(**members: Any) -> Any:
    module = ModuleType("upstream_shm")
    vars(module).update(members)
    return module


class Calls:
    """A function of upstream's: what it was called with, and what it does then."""

    def __init__(self, act: Callable[..., Any] = lambda *args, **kwargs: "upstream's") -> None:
        self.seen: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        self._act = act

    def function(self) -> Any:
        def upstreams(*args: Any, **kwargs: Any) -> Any:
            self.seen.append((args, kwargs))
            return self._act(*args, **kwargs)

        return upstreams


def raises(error: BaseException) -> Callable[..., Any]:
    def act(*args: Any, **kwargs: Any) -> Any:
        raise error

    return act


# -- shm-teardown --------------------------------------------------------------------------------


def test_unlinking_is_upstreams_own(install: Install) -> None:
    calls = Calls()
    module = module_with(shm_unlink=calls.function())
    install(teardown, module)
    module.shm_unlink("a key")
    module.shm_unlink(name="another")
    assert calls.seen == [(("a key",), {}), ((), {"name": "another"})]


@pytest.mark.parametrize("log", [logging.getLogger("upstream's own"), None])
def test_what_is_unlinked_already_is_a_warning_that_names_the_key(
    install: Install, log: logging.Logger | None, caplog: pytest.LogCaptureFixture
) -> None:
    calls = Calls(raises(FileNotFoundError()))
    module = module_with(shm_unlink=calls.function())
    if log is not None:
        module.log = log
    install(teardown, module)
    module.shm_unlink(KEY)
    assert calls.seen == [((KEY,), {})]
    (record,) = caplog.records
    assert record.levelname == "WARNING" and repr(KEY) in record.getMessage()
    assert record.name == ("upstream's own" if log is not None else "upstream_shm")


def test_another_error_of_unlinking_is_raised(install: Install) -> None:
    error = PermissionError()
    module = module_with(shm_unlink=Calls(raises(error)).function())
    install(teardown, module)
    with pytest.raises(PermissionError) as caught:
        module.shm_unlink(KEY)
    assert caught.value is error


class List:
    """Upstream's `ShmList`, as far as its segment goes."""

    def __init__(self, sequence: Any = None, *, name: str | None = None) -> None:
        self.given = (sequence, name)
        self.shm: Any = SimpleNamespace(on_missing=None)


def test_a_list_that_is_destroyed_twice_is_a_warning(
    install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    module = module_with(ShmList=type("ShmList", (List,), {}))
    install(teardown, module)
    made = module.ShmList([1], name=KEY)
    assert made.given == ([1], KEY)
    made.shm.on_missing(KEY)
    assert repr(KEY) in caplog.text


def test_a_list_on_a_segment_of_the_standard_library_is_left_alone(install: Install) -> None:
    class OnStock(List):
        def __init__(self) -> None:
            self.shm = SimpleNamespace()

    module = module_with(ShmList=OnStock)
    install(teardown, module)
    assert vars(module.ShmList().shm) == {}


def test_a_second_destroy_of_a_whole_array_goes_on_to_its_end(
    install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    """Upstream's own `destroy()`: what comes after the segment that is gone is unlinked as well."""
    module = module_with(shm_unlink=shm_unlink)
    install(teardown, module)
    keys = [KEY, f"{KEY}_first", f"{KEY}_last"]
    for key in keys:
        SharedMemory(key, create=True, size=8, track=False).close()
    shm_unlink(KEY)
    for key in keys:
        module.shm_unlink(key)
    assert [probe(kernel_name(key)) for key in keys] == [None, None, None]
    assert len([record for record in caplog.records if repr(KEY) in record.getMessage()]) == 1


# -- shm-half-open -------------------------------------------------------------------------------


def opening_module(act: Callable[..., Any]) -> Any:
    module = module_with(_known_tokens={"before": "a token"})

    def open_shm_ndarray(size: int, key: str | None = None, dtype: Any = None) -> Any:
        module._known_tokens[key] = "a token"
        return act(key)

    def open_shm_list(key: str, size: int = 10) -> Any:
        return act(key)

    module.open_shm_ndarray, module.open_shm_list = open_shm_ndarray, open_shm_list
    return module


def make_two(key: str) -> Any:
    first = SharedMemory(key, create=True, size=64, track=False)
    SharedMemory(f"{key}_first", create=True, size=4, track=False).close()
    return first


@pytest.mark.parametrize("error", [RuntimeError("no actor"), KeyboardInterrupt()])
@pytest.mark.parametrize("opener", ["open_shm_ndarray", "open_shm_list"])
def test_a_failed_open_leaves_no_segment_and_no_token(
    install: Install, opener: str, error: BaseException
) -> None:
    def fail(key: str) -> None:
        make_two(key)
        raise error

    module = opening_module(fail)
    install(half_open, module)
    with pytest.raises(type(error)) as caught:
        getattr(module, opener)(key=KEY, size=2)
    assert caught.value is error
    assert probe(kernel_name(KEY)) is probe(kernel_name(f"{KEY}_first")) is None
    assert module._known_tokens == {"before": "a token"}


def test_an_open_that_succeeds_is_left_alone(install: Install) -> None:
    module = opening_module(make_two)
    install(half_open, module)
    made = module.open_shm_ndarray(2, KEY)
    assert probe(kernel_name(KEY)) is not None
    assert module._known_tokens == {"before": "a token", KEY: "a token"}
    made.close()
    for key in (KEY, f"{KEY}_first"):
        shm_unlink(key)


@pytest.mark.parametrize("size", [0, -1])
def test_a_size_that_cannot_be_is_refused_with_the_key(install: Install, size: int) -> None:
    module = opening_module(raises(AssertionError("upstream was asked")))
    install(half_open, module)
    for opener in (module.open_shm_ndarray, module.open_shm_list):
        with pytest.raises(ValueError, match=f"'{KEY}' has {size}"):
            opener(key=KEY, size=size)
    assert module._known_tokens == {"before": "a token"}


# -- shm-maybe-open ------------------------------------------------------------------------------


class Attaching:
    """A stand-in for tractor's module: what its three functions were called with."""

    def __init__(self, attach: Callable[..., Any] = lambda *args, **kwargs: "attached") -> None:
        self.maybe_open, self.attach = (
            Calls(lambda *args, **kwargs: ("opened", True)),
            Calls(attach),
        )
        inner = self.maybe_open.function()

        def maybe_open_shm_ndarray(
            key: str,
            size: int,
            dtype: Any = None,
            append_start_index: int = 0,
            readonly: bool = True,
        ) -> Any:
            return inner(key, size)

        self.module = module_with(
            _known_tokens={},
            _make_token=lambda **given: given,
            attach_shm_ndarray=self.attach.function(),
            maybe_open_shm_ndarray=maybe_open_shm_ndarray,
        )


def test_what_is_there_is_attached_by_its_token(install: Install) -> None:
    one = Attaching()
    install(maybe_open, one.module)
    assert one.module.maybe_open_shm_ndarray(KEY, 3, dtype=DTYPE) == ("attached", False)
    token = {"key": KEY, "size": 3, "dtype": DTYPE}
    assert one.attach.seen == [((), {"token": token, "readonly": True})]
    assert one.module.maybe_open_shm_ndarray(KEY, 3, DTYPE, readonly=False) == ("attached", False)
    assert one.attach.seen[1][1]["readonly"] is False
    assert one.maybe_open.seen == []


def test_what_is_not_there_is_opened(install: Install) -> None:
    one = Attaching(raises(FileNotFoundError()))
    install(maybe_open, one.module)
    assert one.module.maybe_open_shm_ndarray(KEY, 3, DTYPE) == ("opened", True)
    assert len(one.attach.seen) == 1 and one.maybe_open.seen == [((KEY, 3), {})]


def test_what_this_process_knows_or_cannot_name_is_upstreams_business(install: Install) -> None:
    one = Attaching()
    install(maybe_open, one.module)
    assert one.module.maybe_open_shm_ndarray(KEY, 3) == ("opened", True)
    one.module._known_tokens[KEY] = "a token"
    assert one.module.maybe_open_shm_ndarray(KEY, 3, DTYPE) == ("opened", True)
    assert one.attach.seen == []


def test_another_error_of_attaching_is_raised(install: Install) -> None:
    one = Attaching(raises(PermissionError()))
    install(maybe_open, one.module)
    with pytest.raises(PermissionError):
        one.module.maybe_open_shm_ndarray(KEY, 3, DTYPE)
    assert one.maybe_open.seen == []


# -- shm-names, shm-shortening, shm-open-files ---------------------------------------------------


def stock_module() -> Any:
    return module_with(
        SharedMemory=stock.SharedMemory,
        shm_unlink=print,
        ShmList=type("ShmList", (stock.ShareableList,), {}),
    )


def test_the_modules_shared_memory_is_macfixs_and_back_again() -> None:
    module, changes = stock_module(), Changes()
    names.install(module, changes)
    assert module.SharedMemory is SharedMemory and module.shm_unlink is shm_unlink
    assert module.ShmList.__bases__ == (ShareableList,)
    assert changes.revert() == []
    assert module.SharedMemory is stock.SharedMemory and module.shm_unlink is print
    assert module.ShmList.__bases__ == (stock.ShareableList,)


def test_a_module_without_lists_and_unlinking_gets_neither(install: Install) -> None:
    module = module_with(SharedMemory=stock.SharedMemory)
    install(names, module)
    assert vars(module).keys() & {"shm_unlink", "ShmList"} == set()
    assert module.SharedMemory is SharedMemory


def test_what_upstream_has_bound_to_the_class_stays_bound(install: Install) -> None:
    module = module_with(SharedMemory=partial(stock.SharedMemory, None, track=False))
    install(names, module)
    made = module.SharedMemory
    assert (made.func, made.args, made.keywords) == (SharedMemory, (None,), {"track": False})


def test_the_process_joins_its_tree_as_long_as_it_is_patched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(registry.VARIABLE, raising=False)
    changes = Changes()
    names.install(stock_module(), changes)
    assert registry.VARIABLE in os.environ
    changes.revert()
    assert registry.VARIABLE not in os.environ


def test_a_race_is_a_note_for_status_until_it_is_reverted() -> None:
    notes: dict[str, str] = {}
    before, changes = list(shared_memory.observers), Changes(notes)
    names.install(stock_module(), changes)
    with pytest.raises(FileNotFoundError):
        shm_unlink(KEY)
    (text,) = notes.values()
    assert repr(KEY) in text and text.startswith(f"{shared_memory.races}, ")
    changes.revert()
    assert shared_memory.observers == before


@pytest.mark.parametrize("suffix", ["", "_first", "_last"])
def test_keys_are_whole_in_tokens(install: Install, suffix: str) -> None:
    module = module_with(_shorten_key_for_macos=lambda key, prefix="", suffix="": key[:9])
    install(shortening, module)
    assert module._shorten_key_for_macos(KEY, suffix=suffix) == KEY + suffix
    assert module._shorten_key_for_macos(KEY, prefix="t_", suffix=suffix) == KEY + suffix


def test_the_limit_of_open_files_is_raised_noted_and_put_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    asked: list[Any] = []
    monkeypatch.setattr(open_files, "raise_open_files", lambda: OpenFiles(256, 10240, 10240))
    monkeypatch.setattr(resource, "setrlimit", lambda *given: asked.append(given))
    notes: dict[str, str] = {}
    changes = Changes(notes)
    open_files.install(module_with(), changes)
    assert notes == {"open files": str(OpenFiles(256, 10240, 10240))}
    assert changes.revert() == []
    assert asked == [(resource.RLIMIT_NOFILE, (256, limits[1]))]


def test_a_limit_that_is_high_enough_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_files, "raise_open_files", lambda: OpenFiles(4096, 4096, 4096))
    monkeypatch.setattr(resource, "setrlimit", raises(AssertionError("it was changed")))
    notes: dict[str, str] = {}
    changes = Changes(notes)
    open_files.install(module_with(), changes)
    assert notes == {}  # or it would take the place of the one that says what was changed
    assert changes.revert() == []


# -- tokens --------------------------------------------------------------------------------------


class Token:
    """Upstream's class of tokens: with a size (since 2022-08-28) or without."""

    def __init__(self, **parts: Any) -> None:
        self.__dict__.update(parts)

    @classmethod
    def from_msg(cls, message: Any) -> Any:
        return message if isinstance(message, cls) else cls(**message)


def parts(key: str = KEY, **more: Any) -> dict[str, Any]:
    names = ("shm_name", "shm_first_index_name", "shm_last_index_name")
    of_key = zip(names, (key, f"{key}_first", f"{key}_last"), strict=True)
    return {**dict(of_key), "dtype_descr": (("index", "<i8"),), "size": 4, **more}


def token_module(**members: Any) -> Any:
    return module_with(_Token=type("_Token", (Token,), {}), **members)


def test_tokens_are_equal_and_hash_alike_however_their_dtype_travelled(install: Install) -> None:
    module = token_module()
    install(token_key, module)
    sent = module._Token(**parts())
    received = module._Token(**parts(dtype_descr=[["index", "<i8"]]))
    assert sent == received and hash(sent) == hash(received)
    assert sent.key == received.key == KEY
    for other in (parts(size=5), parts("other"), parts(dtype_descr=(("index", "<i4"),))):
        assert sent != module._Token(**other)
    assert sent != parts() and sent != Token(**parts())


def test_tokens_of_a_time_without_sizes_are_equal_too(install: Install) -> None:
    module = token_module()
    install(token_key, module)
    old = {name: value for name, value in parts().items() if name != "size"}
    assert module._Token(**old) == module._Token(**old)
    assert module._Token(**old) != module._Token(**parts())


def test_messages_with_a_key_and_without_make_the_same_token(install: Install) -> None:
    module = token_module()
    install(token_key, module)
    sent = parts(dtype_descr=[["index", "<i8"]])
    with_key = module._Token.from_msg({**sent, "key": KEY})
    without = module._Token.from_msg(message=sent)
    assert with_key == without and with_key.key == KEY
    assert without.dtype_descr == (("index", "<i8"),)
    assert sent["dtype_descr"] == [["index", "<i8"]], "the message itself was changed"
    assert module._Token.from_msg(with_key) is with_key


def keyed_module() -> Any:
    """A module of 2026-02: tokens have a field for the key, and arrays leave it empty."""

    class NDToken(Token):
        __struct_fields__ = (*parts(), "key")
        key: str | None = None

    class ShmArray:
        @property
        def _token(self) -> Any:
            return NDToken(**parts())

    return module_with(NDToken=NDToken, ShmArray=ShmArray)


def test_a_field_for_the_key_is_filled_in(install: Install) -> None:
    module = keyed_module()
    install(token_key, module)
    token = module.ShmArray()._token
    assert type(token) is module.NDToken and token.key == KEY
    assert module.NDToken.from_msg(parts()).key == KEY
    assert module.NDToken.from_msg({**parts(), "key": "its own"}).key == "its own"


def test_a_key_does_not_make_another_token(install: Install) -> None:
    module = keyed_module()
    install(token_key, module)
    assert module.NDToken(**parts()) == module.NDToken(**parts(), key=KEY)


def test_a_module_without_tokens_is_an_error_that_names_them() -> None:
    with pytest.raises(AttributeError, match="NDToken, _Token"):
        token_key.install(module_with(), Changes())


class Array:
    """An array of upstream's, as far as `shm-token-check` looks at it."""

    def __init__(self, segment: Any, token: Any) -> None:
        self._shm, self._token = segment, token


def checking_module(rows: int = 4, opened: Any = None) -> Any:
    """A module that opens an array of *rows* rows of 8 bytes, and counts what is attached."""
    attached = Calls()
    module = token_module(
        attach_shm_array=attached.function(),
        open_shm_array=lambda: Array(
            SharedMemory(KEY, create=True, size=rows * 8, track=False), module._Token(**parts())
        ),
    )
    module.attached = attached
    return module


@pytest.fixture
def checking(install: Install) -> Iterator[Any]:
    pytest.importorskip("numpy")
    module = checking_module()
    install(token_check, module)
    array = module.open_shm_array()
    yield module
    array._shm.close()
    shm_unlink(KEY)


def test_a_token_that_fits_is_attached(checking: Any) -> None:
    for token in (checking._Token(**parts()), parts(), parts(dtype_descr=[["index", "<i8"]])):
        assert checking.attach_shm_array(token, readonly=False) == "upstream's"
    assert [kwargs for _, kwargs in checking.attached.seen] == [{"readonly": False}] * 3


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"dtype_descr": (("index", "<i4"), ("other", "<i4"))}, "other"),
        ({"size": 5}, "has 32 bytes, and the token says 5 rows of 8 bytes, 40"),
        ({"size": 3}, "has 32 bytes, and the token says 3 rows of 8 bytes, 24"),
    ],
)
def test_a_token_that_does_not_fit_is_refused_before_anything_is_attached(
    checking: Any, wrong: dict[str, Any], said: str
) -> None:
    with pytest.raises(token_check.TokenMismatchError) as caught:
        checking.attach_shm_array(parts(**wrong))
    assert said in str(caught.value) and repr(KEY) in str(caught.value)
    assert checking.attached.seen == []


def test_a_size_may_come_as_an_argument_or_not_at_all(checking: Any) -> None:
    old = {name: value for name, value in parts().items() if name != "size"}
    checking.attach_shm_array(old)
    checking.attach_shm_array(old, size=4)
    checking.attach_shm_array(old, True)  # that is `readonly`
    assert len(checking.attached.seen) == 3
    with pytest.raises(token_check.TokenMismatchError):
        checking.attach_shm_array(old, size=5)


def test_a_segment_of_a_process_without_macfix_must_only_be_large_enough(install: Install) -> None:
    pytest.importorskip("numpy")
    module = checking_module()
    install(token_check, module)
    made = stock.SharedMemory(kernel_name(KEY)[1:], create=True, size=64)
    try:
        module.attach_shm_array(parts(size=4))
        with pytest.raises(token_check.TokenMismatchError, match=r"has \d+ bytes"):
            module.attach_shm_array(parts(size=100_000))
    finally:
        made.close()
        made.unlink()
    assert len(module.attached.seen) == 1


def test_what_is_not_there_is_upstreams_to_say(install: Install) -> None:
    pytest.importorskip("numpy")
    module = checking_module()
    install(token_check, module)
    assert module.attach_shm_array(parts()) == "upstream's"


def test_an_array_on_a_segment_of_the_standard_library_is_opened_all_the_same(
    install: Install,
) -> None:
    module = token_module(
        attach_shm_array=print, open_shm_array=lambda: Array(SimpleNamespace(), "a token")
    )
    install(token_check, module)
    assert module.open_shm_array()._token == "a token"


def test_a_module_that_opens_under_another_name_is_an_error() -> None:
    with pytest.raises(AttributeError, match="open_shm_ndarray, open_shm_array"):
        token_check.install(token_module(attach_shm_array=print), Changes())
