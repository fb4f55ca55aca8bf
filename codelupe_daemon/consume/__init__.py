"""Derived stores: each follows the journal with a watermark of its own."""
