"""The calls of ``os`` as Linux has them: this is imported before any of them is replaced."""

from os import *  # noqa: F403
