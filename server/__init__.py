"""Holdfast's server: rooms whose every action is in PostgreSQL before anyone sees it."""
