"""The three stories on real claims data, as a client of the running site."""
