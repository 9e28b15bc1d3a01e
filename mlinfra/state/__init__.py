"""State: what mlinfra owns, and the journal, the lock and the history that keep it true. Knows no resource type."""
