"""Grammars, identifiers and borders of code: pure, without I/O."""
