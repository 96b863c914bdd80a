"""Put this folder on ``PYTHONPATH`` and piker knows one more broker, ``piker.brokers.simx``.

Every actor that piker starts inherits ``PYTHONPATH``, so the broker is known in all of them.
Nothing is written into piker's own folder, and piker is not imported here.

With ``PIKER_SYNTH_REPORT=FILE`` the chart's process also tells, in FILE, which windows it shows;
with ``PIKER_SYNTH_QUIT=FILE`` it is closed and quit by what is written to FILE, and with
``PIKER_SYNTH_HIDDEN`` set besides it never shows its window. With ``PIKER_SYNTH_STILL=SECONDS`` no
time passes for the market, see ``simx``.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).resolve().parent
BROKERS = {"piker.brokers.simx": HERE / "simx.py"}


class BrokerFinder(importlib.abc.MetaPathFinder):
    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        source = BROKERS.get(fullname)
        return None if source is None else importlib.util.spec_from_file_location(fullname, source)


sys.meta_path.append(BrokerFinder())

if os.environ.get("PIKER_SYNTH_STILL"):
    import trio

    SAMPLING = 1 - 0.001  # seconds from one step of piker's sampler to the next, as it says them
    _sleep = trio.sleep

    async def sleep(seconds: float) -> None:
        await (trio.sleep_forever() if seconds == SAMPLING else _sleep(seconds))

    trio.sleep = sleep

if os.environ.get("PIKER_SYNTH_REPORT"):
    import window_report

    window_report.start(Path(os.environ["PIKER_SYNTH_REPORT"]))

if os.environ.get("PIKER_SYNTH_QUIT"):
    import cocoa_quit

    cocoa_quit.start(
        Path(os.environ["PIKER_SYNTH_QUIT"]), hidden="PIKER_SYNTH_HIDDEN" in os.environ
    )
