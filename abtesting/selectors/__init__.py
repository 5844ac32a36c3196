"""Reads of experiments. What the actor may not see is answered like what does not exist."""
