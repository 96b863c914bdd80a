"""Proofs on the real tractor and piker, taken from their git history."""
