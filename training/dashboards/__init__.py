"""The pages of training: runs and data sets."""
