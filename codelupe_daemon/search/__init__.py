"""From a query to results: the query language, and one engine per file."""
