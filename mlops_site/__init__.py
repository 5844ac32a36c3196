"""Steward: the site and what joins its apps."""
