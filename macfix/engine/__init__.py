"""How a module gets patched. Knows no upstream: it is handed the packages to watch and the plugins.

To be read in the order in which an import of a target goes through it:

- :mod:`finder` asks the finders behind it, and puts macfix's loader before the one they found;
- :mod:`loader` executes the target, patched;
- :mod:`engine` knows what is to be done to it, and does it: it asks
  :mod:`plugins` for the patches, :mod:`diagnosis` (with its :mod:`cache`) which of them the source
  needs, :mod:`rewriting` for the code, and gives each install a record of its :mod:`changes`;
- :mod:`ledger` keeps the state of every patch.

Beside them: :mod:`config` (the user's choices), and for the command line :mod:`survey` (diagnoses
without an import, of what :mod:`locating` finds). For who writes a patch: :mod:`patch`,
:mod:`source`, :mod:`syntax`.
"""
