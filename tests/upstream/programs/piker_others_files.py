"""Read piker's configuration as another user than the one who has written it (needs root)."""

from __future__ import annotations

import os

from piker import config

path = config.get_conf_path("conf")
path.parent.mkdir(parents=True)
path.touch(0o600)
for place in path.parents:
    if place.stat().st_uid == 0 and place != place.parent:
        place.chmod(place.stat().st_mode | 0o111)
os.setuid(65534)
for _ in range(2):
    try:
        config.load("conf")
    except PermissionError as error:
        print(type(error).__name__)
