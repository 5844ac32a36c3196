"""The REST endpoints of training."""
