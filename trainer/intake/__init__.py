"""From a watermark to a frozen manifest, whatever holds the rows."""
