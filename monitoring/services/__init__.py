"""Writes of monitoring: answers, labels, folding, reports, alerts, retraining."""

from monitoring.services.answers import Draft, answers_kept, log_answers

__all__ = ["Draft", "answers_kept", "log_answers"]
