"""What the engine costs, over the number of resources."""
