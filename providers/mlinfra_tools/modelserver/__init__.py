"""MLflow models behind HTTP: the recipe for endpoints and the server program it runs."""
