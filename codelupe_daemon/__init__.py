"""CodeLupe's ingestion daemon: repositories in, judged and searchable code out."""

__version__ = "0.1.0"
