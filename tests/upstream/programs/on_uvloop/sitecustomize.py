"""Put this folder on PYTHONPATH and asyncio runs on uvloop, in children too."""

from __future__ import annotations

import asyncio

import uvloop

asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
