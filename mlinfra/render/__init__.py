"""Rendering what mlinfra knows into other formats."""
