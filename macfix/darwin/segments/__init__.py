"""POSIX shared memory on XNU, which lists no segments and keeps them until somebody unlinks them.

From the kernel up, each module imports only those before it:

- `names`: any key as a name of at most 30 bytes.
- `label`: what a segment says about itself in its last bytes.
- `kernel`: opening, unlinking and looking at a segment.
- `processes`: which processes live.
- `database`: the registry's file, one transaction at a time, and every statement.
- `reaping`: which segments are alive, which are leaked, and freeing those.
- `registry`: the tree of this process, and what `SharedMemory` says: created, attached, unlinked.
- `shared_memory`: `SharedMemory` and `ShareableList` in the place of the standard library's.
"""
