"""The command line: parse, call the engine, choose the exit code. No logic; nothing but typer at module level."""
