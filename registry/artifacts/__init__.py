"""Artifacts: what a version's file may be, what it expects, and how one claim is scored with it."""
