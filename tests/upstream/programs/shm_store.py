"""Find piker's arrays as `piker store ldshm` does; prints what was found.

shm_store.py MARKET        MARKET: a fully qualified market name, such as xsimusdt.simx
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from types import SimpleNamespace
from typing import Any

TAG = str(os.getpid()).zfill(8)


def main(market: str) -> dict[str, Any]:
    import tractor
    from piker import tsp
    from piker.data import _sharedmem, def_iohlcv_fields

    lifetime = contextlib.ExitStack()
    actor: Any = SimpleNamespace(lifetime_stack=lifetime)
    tractor.current_actor = lambda *_, **__: actor
    kinds = {"hist": tsp._default_hist_size, "rt": tsp._default_rt_size, "dolla_vlm": 10}
    tsp.np2pl = lambda array: f"a frame of {len(array)} rows"  # polars takes seconds for it
    for kind, size in kinds.items():
        for name in (market, "other.simx"):
            array = _sharedmem.open_shm_array(
                key=f"piker.brokerd[{TAG}-42].{name}.{kind}",
                size=size,
                dtype=def_iohlcv_fields,
                append_start_index=5,
            )
            array._last.value = 9
    _sharedmem._known_tokens.clear()  # `piker store` is another process
    found = [
        [str(path).replace(TAG, "TAG"), len(shm.array), frame, shm.token["shm_name"] == path.name]
        for path, shm, frame in tsp.iter_dfs_from_shms(market)
    ]
    nothing = list(tsp.iter_dfs_from_shms("nowhere.simx"))
    lifetime.close()
    return {"found": found, "nothing": nothing}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
