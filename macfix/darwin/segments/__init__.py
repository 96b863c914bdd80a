"""POSIX shared memory on XNU, which lists no segments and keeps them until somebody unlinks them.

From the kernel up, each module imports only those before it:

- `names`: any key as a name of at most 30 bytes.
- `label`: what a segment says about itself in its last bytes.
- `kernel`: opening, unlinking and looking at a segment.
- `processes`: which processes live.
- `database`: the registry's file, one transaction at a time, and every statement.
- `reaping`: which segments are alive, which are leaked, and freeing those.
- `tree`: which tree of processes this one belongs to.
- `registry`: what `SharedMemory` tells the registry: creation, attaching, unlinking.
- `shared_memory`: `SharedMemory` and `ShareableList` in the place of the standard library's.
"""
