"""Programs that proofs run in other worlds; each is complete in itself."""
