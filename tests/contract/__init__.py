"""What every store of the journal is held to; a store joins in `stores.py`."""
