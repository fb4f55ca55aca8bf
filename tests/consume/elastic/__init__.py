"""The consumer `elasticsearch` against a real server."""
