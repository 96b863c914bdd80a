"""Connections between actors."""

from ._chan import Channel as Channel
