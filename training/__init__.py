"""Training: data sets, runs and how versions come to be."""
