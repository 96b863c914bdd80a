"""The proofs that macfix does what it says."""
