"""A/B testing: which version is better."""
