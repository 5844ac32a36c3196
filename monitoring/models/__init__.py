"""Predictions and labels, what they add up to, reports, alerts, and the policy of training again."""

from monitoring.models.alert import Alert
from monitoring.models.batch import BatchChunk, BatchRun
from monitoring.models.completion import Completion
from monitoring.models.explanation import Explanation, ExplanationRun
from monitoring.models.laws import LAWS
from monitoring.models.policy import RetrainDecision, RetrainPolicy, RetrainRules, TeamRetrainPolicy
from monitoring.models.prediction import Label, Prediction
from monitoring.models.profile import Bucket, FoldItem
from monitoring.models.report import MonitoringRun, Report
from monitoring.models.total import Total

__all__ = [
    "LAWS",
    "Alert",
    "BatchChunk",
    "BatchRun",
    "Bucket",
    "Completion",
    "Explanation",
    "ExplanationRun",
    "FoldItem",
    "Label",
    "MonitoringRun",
    "Prediction",
    "Report",
    "RetrainDecision",
    "RetrainPolicy",
    "RetrainRules",
    "TeamRetrainPolicy",
    "Total",
]
