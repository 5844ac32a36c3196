"""The endpoints of experiments."""
