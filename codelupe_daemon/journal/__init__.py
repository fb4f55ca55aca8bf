"""The journal: what happened to file contents, append-only and in commit order."""
