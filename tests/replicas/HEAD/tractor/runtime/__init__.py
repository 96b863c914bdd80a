"""What every process of a tree of actors has."""
