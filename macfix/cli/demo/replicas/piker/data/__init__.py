"""Market data, shared between processes."""
