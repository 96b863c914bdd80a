"""Unix domain sockets on XNU.

- `credentials`: who is at the other end of a connection (pid, uid, gid, groups).
- `runtime_dir`: a short, owner-only folder for sockets.
- `names`: socket file names that fit into XNU's 104 bytes.
- `peer_close`: the errnos that a write to a closed peer fails with.
"""
