"""The engine: lower, refresh, diff, plan, apply. It emits events and never prints."""
