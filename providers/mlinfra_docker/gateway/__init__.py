"""What stands before an endpoint: HAProxy, its file, the servers behind it, and rollouts."""
