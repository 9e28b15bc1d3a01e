"""MLflow: its server as a service, its objects as resource types, training runs that register models in it."""
