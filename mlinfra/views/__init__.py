"""What people and machines see: plans, progress, diagnostics, tables. Views decide nothing."""
