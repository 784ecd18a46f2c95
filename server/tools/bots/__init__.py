"""Bots: a load of real clients that check all they are told."""
