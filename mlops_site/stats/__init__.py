"""Pure statistics, below everything else: columns, profiles, drift, intervals and metrics (no Django)."""
