"""Endpoints that join several apps: predict, jobs of every kind, the audit chain, probes and the schema."""
