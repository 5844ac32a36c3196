"""Pure statistics of production: tallies, performance, quality, volume, persistence."""
