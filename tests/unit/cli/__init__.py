"""The command line, as a process and within this one, over blueprints of folders, files and secrets."""
