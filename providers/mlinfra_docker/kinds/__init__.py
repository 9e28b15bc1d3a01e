"""How this provider lowers the kinds that need no tool."""
