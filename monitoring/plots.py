"""Figures of monitoring: info in, figure out."""
