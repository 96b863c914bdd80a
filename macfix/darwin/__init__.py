"""What XNU does, and how to live with it.

Nothing here knows tractor or piker, and each part is useful alone:

- `sockets`: who is at the other end of a Unix socket, a short private folder for sockets, names
  that fit into 104 bytes, and the errnos of a closed peer.
- `segments`: shared memory with any key and its true size, and the registry of who created which
  segment, which frees what dead programs left.
- `limits`: how many files may be open.
- `sysctl`: what XNU tells about itself.

The modules are imported by their own names; the packages re-export nothing, so that a process pays
only for what it uses.
"""
