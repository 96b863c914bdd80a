"""A stand-in for piker, with the shapes of 2024-01 that macfix patches. Not piker's code."""
