"""The ways in: how the engine gets into an interpreter.

- :mod:`activate` puts macfix's finder into this process, and takes it out again;
- ``site/_macfix_autoload.py`` is what an interpreter that comes up with macfix executes: copied
  beside a ``.pth`` file by :mod:`enabling`, and executed by ``site/sitecustomize.py`` in children;
- :mod:`environment` has the variables by which children come up with macfix;
- :mod:`runner` replaces macfix's own process by a program, which :mod:`programs` finds;
- :mod:`pytest_plugin` runs a test suite with macfix;
- ``__pyinstaller`` has PyInstaller's hook: what a frozen program needs that calls ``activate()``.
"""
