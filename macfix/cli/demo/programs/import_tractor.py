"""Import the module that carries tractor's Unix sockets."""

from __future__ import annotations

if __name__ == "__main__":
    import tractor.ipc._uds

    print(f"imported, runtime folder {tractor.ipc._uds.UDSAddress.def_bindspace}")
