"""From texts to packed rows of tokens, in files that training reads while they are still made."""
