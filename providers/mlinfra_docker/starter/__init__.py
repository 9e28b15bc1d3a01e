"""Starters: containers that run a job when a service asks for it, without the engine's socket."""
