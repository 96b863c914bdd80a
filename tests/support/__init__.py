"""What tests share: folders, processes, worlds, upstream checkouts, interpreters, leak checks."""
