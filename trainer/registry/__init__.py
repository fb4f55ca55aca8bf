"""What the trainer remembers: sessions, examples, versions, progress, results, sides."""
