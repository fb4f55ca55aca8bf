"""From rows to a manifest."""
