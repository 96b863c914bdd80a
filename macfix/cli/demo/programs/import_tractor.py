"""Import the module that carries tractor's Unix sockets."""

import tractor.ipc._uds

print(f"imported, runtime folder {tractor.ipc._uds.UDSAddress.def_bindspace}")
