"""How the engine gets into an interpreter: the runner, and what children inherit.

``environment`` makes child interpreters come up mended, ``site/sitecustomize.py`` is what they
then execute, ``programs`` finds what the user wants to run, and ``runner`` runs it as if macfix
were not there.
"""
