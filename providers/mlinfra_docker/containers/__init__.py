"""Containers of the engine: their fields, making and reading, and the runs of jobs."""
