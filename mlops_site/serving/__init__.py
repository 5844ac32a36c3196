"""Answers of the models in production."""

from mlops_site.serving.answers import ARM, Answer, Answers, Deprecation, Question, Reason
from mlops_site.serving.choosing import Chosen, arrival
from mlops_site.serving.predicting import predict
from mlops_site.serving.reasons import MAX_EXPLAINED, MAX_REASONS

__all__ = [
    "ARM",
    "MAX_EXPLAINED",
    "MAX_REASONS",
    "Answer",
    "Answers",
    "Chosen",
    "Deprecation",
    "Question",
    "Reason",
    "arrival",
    "predict",
]
