"""Prometheus and Alertmanager, as one pair of services for all monitors of an environment."""
