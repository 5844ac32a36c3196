"""The REST face of the registry."""
