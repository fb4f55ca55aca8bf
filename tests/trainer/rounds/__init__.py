"""Whole rounds: the loop, the command, and the system from a repository to a version."""
