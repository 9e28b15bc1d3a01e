"""Images of the engine: pulled, or built from a folder or from texts."""
