"""Feast: a feature store as a feature server with its repository."""
