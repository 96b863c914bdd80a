"""What kind of Mac to be."""

from __future__ import annotations

from dataclasses import dataclass

from macfix._variables import is_on, nearest

from ._constants import PSHMNAMLEN
from ._errors import SimulationError

NAMES = (PSHMNAMLEN - 1, PSHMNAMLEN)
PAGES = (4096, 16384)
WRITES = ("EPIPE", "ECONNRESET", "EPROTOTYPE", "EAFNOSUPPORT", "ENOTCONN")
PEERCRED = ("absent", "present")
_CHOICES: dict[str, tuple[int | str, ...]] = {
    "names": NAMES,
    "page": PAGES,
    "write": WRITES,
    "peercred": PEERCRED,
}

_FORM = (
    "expected '1' or a comma separated list of names=30|31, page=4096|16384, files=NUMBER, "
    "guests=MODULE[:MODULE...], write=EPIPE|ECONNRESET|EPROTOTYPE|EAFNOSUPPORT|ENOTCONN, "
    "peercred=absent|present"
)


@dataclass(frozen=True)
class Spec:
    """A kind of Mac; the defaults are the strictest one that exists in part.

    Attributes:
        names: bytes a segment's name may have, slash included: 31, or 30 on macOS before 10.14.6.
        page: bytes of a memory page: 16384 on Apple silicon, 4096 on Intel.
        files: the soft limit of open files.
        guests: further top-level modules that are to see ``sys.platform == "darwin"``.
        write: the error of a write to a closed peer of a Unix socket, by name. ``EPIPE`` and
            ``ENOTCONN`` are what XNU gives there; the others it gives on TCP, which upstream's
            one ``send()`` serves as well.
        peercred: whether Python's ``socket`` knows ``LOCAL_PEERCRED``.
    """

    names: int = NAMES[0]
    page: int = PAGES[1]
    files: int = 256
    guests: tuple[str, ...] = ()
    write: str = WRITES[0]
    peercred: str = PEERCRED[0]

    def __post_init__(self) -> None:
        for key, allowed in _CHOICES.items():
            value = getattr(self, key)
            if value not in allowed:
                choice = " or ".join(map(str, allowed))
                hint = nearest(value, map(str, allowed)) if isinstance(value, str) else ""
                raise SimulationError(
                    f"simulation: {key}={value} is not possible, only {choice}{hint}"
                )
        if self.files < 16:
            raise SimulationError(f"simulation: files={self.files} is too few to run on, need 16")
        for guest in self.guests:
            if not guest.isidentifier():
                raise SimulationError(
                    f"simulation: guests={guest!r} is no top-level module's name; {_FORM}"
                )

    @classmethod
    def parse(cls, text: str) -> Spec:
        """Read a specification such as ``names=31,page=4096``; ``1``, ``on`` or nothing is default.

        Raises SimulationError for anything else, naming what is wrong and what is possible.
        """
        if not text.strip() or is_on(text):
            return cls()
        chosen: dict[str, int | str | tuple[str, ...]] = {}
        for item in text.split(","):
            key, equals, value = (part.strip() for part in item.partition("="))
            if key in chosen:
                raise SimulationError(f"simulation: {key} is given twice in {text!r}")
            if not equals:
                raise SimulationError(f"simulation: cannot read {item!r} in {text!r}; {_FORM}")
            chosen[key] = _read(key, value, text)
        return cls(**chosen)  # type: ignore[arg-type]

    def __str__(self) -> str:
        parts = [f"names={self.names}", f"page={self.page}", f"files={self.files}"]
        if self.guests:
            parts.append("guests=" + ":".join(self.guests))
        if self.write != WRITES[0]:
            parts.append(f"write={self.write}")
        if self.peercred != PEERCRED[0]:
            parts.append(f"peercred={self.peercred}")
        return ",".join(parts)


def _read(key: str, value: str, text: str) -> int | str | tuple[str, ...]:
    if key in ("names", "page", "files"):
        if not (value.isascii() and value.isdigit()):
            raise SimulationError(f"simulation: {key}={value!r} is no number in {text!r}; {_FORM}")
        return int(value)
    if key == "guests":
        return tuple(value.split(":"))
    if key in ("write", "peercred"):
        return value
    hint = nearest(key, Spec.__dataclass_fields__)
    raise SimulationError(f"simulation: unknown key {key!r} in {text!r}{hint}; {_FORM}")
