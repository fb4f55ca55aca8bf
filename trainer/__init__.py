"""The trainer: from the journal's watermark to a better model, round after round."""
