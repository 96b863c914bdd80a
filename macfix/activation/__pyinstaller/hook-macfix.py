"""What a frozen program needs that imports macfix: plugins, their patches, upstream's sources."""

from PyInstaller.utils.hooks import collect_entry_point, collect_submodules

datas, plugins = collect_entry_point("macfix")
hiddenimports = [module for plugin in plugins for module in collect_submodules(plugin)]
module_collection_mode = {"tractor": "py", "piker": "py"}  # a diagnosis looks at the source
