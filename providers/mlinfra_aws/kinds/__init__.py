"""How AWS's managed services make kinds, one file a kind."""
