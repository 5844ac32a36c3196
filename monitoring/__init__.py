"""Monitoring: what happens in production."""
