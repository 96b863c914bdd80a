"""What XNU does, and how to live with it.

Nothing here knows tractor or piker, and each part is useful alone:

- `sockets`: Unix sockets, their names and their peers.
- `segments`: shared memory with any key, and the registry, which frees what dead programs left.
- `limits`: how many files may be open.
- `sysctl`: what XNU tells about itself.
- `facts`: what all of this takes for granted, each fact asked of the running kernel.

The modules are imported by their own names; the packages re-export nothing, so that a process pays
only for what it uses.
"""
