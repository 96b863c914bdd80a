"""What XNU does, and how to live with it.

Nothing here knows tractor or piker, and each module is useful alone:

- `credentials`: who is at the other end of a Unix socket (pid, uid, gid, groups).
- `runtime_dir`: a short, owner-only folder for sockets.
- `socket_names`: socket file names that fit into XNU's 104 bytes.
- `peer_close`: the errnos with which XNU says that the peer of a connection has gone.
- `shared_memory`: segments of shared memory with any key and their true size; beside it
  `segment_names`, `segment_label`, `kernel_shm`.
- `journal`: who created which segment; beside it `journal_format`, `journal_index`, `races`,
  `state_dir`, and what is done with it: `segments` (list) and `reaping` (free).
- `limits`: how many files may be open.
- `sysctl`: what XNU tells about itself.

The modules are imported by their own names; this package re-exports nothing, so that a process
pays only for what it uses.
"""
