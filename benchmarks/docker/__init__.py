"""What the Docker provider costs, beside the SDK making the calls that cannot be done without."""
