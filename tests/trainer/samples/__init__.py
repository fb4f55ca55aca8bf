"""From texts to packed rows."""
