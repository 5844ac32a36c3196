"""Registry: which models exist, in which version, and which stage each version is in."""
