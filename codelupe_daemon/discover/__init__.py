"""Where repositories come from: one source per file."""
