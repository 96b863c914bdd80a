"""XNU on Linux: a Python process and its children behave like on a Mac, row by row.

>>> import macfix.simulate
>>> macfix.simulate.start("names=30,page=16384")     # as early as possible: in sitecustomize

From then on the program sees ``sys.platform == "darwin"`` and meets a Mac's failures: missing
socket constants, 104-byte socket paths, refused connections, 30-byte segment names, page-rounded
segments, no ``/dev/shm``. The standard library and packages with compiled parts keep seeing Linux,
since that is what they were built for. What is simulated, what is not, and on whose word is in
``docs/simulation.md``.

Children inherit through ``MACFIX_SIMULATE`` (set by :func:`start`) if their interpreter starts the
simulation too, which macfix's ``sitecustomize`` does.
"""

from __future__ import annotations

from ._errors import SimulationError
from ._segments import purge, segments
from ._spec import Spec
from ._start import active, name_folders, start

__all__ = ["SimulationError", "Spec", "active", "name_folders", "purge", "segments", "start"]
