"""The registry's SQL: migrations and what differs by store in folders, the rest in queries.sql."""
