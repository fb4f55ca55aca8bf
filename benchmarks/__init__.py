"""Measurements of CodeLupe on real code; `docs/benchmarks.md` has the figures."""
