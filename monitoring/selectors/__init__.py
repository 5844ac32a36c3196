"""Reads of monitoring. What the actor may not see is answered like what does not exist."""

from monitoring.selectors.answers import first_answers

__all__ = ["first_answers"]
