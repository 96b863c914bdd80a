"""Upstreams of one time, by the module with which they share arrays."""

from __future__ import annotations

from dataclasses import dataclass

from tests.support import pythons
from tests.support.surroundings import REPOSITORY

OLD, NEW, PIKER = "tractor._shm", "tractor.ipc._shm", "piker.data._sharedmem"

RECIPE_2022 = pythons.Recipe(
    "piker of 2022",
    REPOSITORY / "tests" / "upstream" / "requirements-piker-2022.txt",
    ((3, 10),),
    "MACFIX_PIKER_2022_PYTHON",
)


@dataclass(frozen=True)
class Vintage:
    """One commit that shares arrays.

    Attributes:
        module: the module that does.
        commit: of tractor, or of piker.
        tractor: the commit of tractor that a piker runs with.
        recipe: the interpreter that it runs with.
    """

    module: str
    commit: str
    tractor: str = ""
    recipe: pythons.Recipe = pythons.TRACTOR

    def __str__(self) -> str:
        return f"{self.module.partition('.')[0]}-{self.commit}"
