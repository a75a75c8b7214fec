"""Postgres: the embedded server, roles, URLs, tables and migrations."""
