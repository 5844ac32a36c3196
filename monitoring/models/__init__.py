"""Predictions and labels, what they add up to, reports, alerts, and the policy of training again."""

from monitoring.models.alarm import CalibrationRun, DriftAlarm
from monitoring.models.alert import Alert
from monitoring.models.batch import BatchChunk, BatchRun
from monitoring.models.channel import Channel, Message
from monitoring.models.completion import Completion
from monitoring.models.explanation import Explanation, ExplanationRun
from monitoring.models.laws import LAWS
from monitoring.models.limit import QualityLimit
from monitoring.models.policy import RetrainDecision, RetrainPolicy, RetrainRules, TeamRetrainPolicy
from monitoring.models.prediction import Label, Prediction
from monitoring.models.profile import Bucket, FoldItem
from monitoring.models.report import MonitoringRun, Report
from monitoring.models.retention import Retention
from monitoring.models.rule import AlertRule, Silence
from monitoring.models.schedule import MonitoringSchedule, Unchecked
from monitoring.models.slices import ErrorCode, FairnessLimits, Slice
from monitoring.models.total import Total
from monitoring.models.volume import VolumeDay

__all__ = [
    "LAWS",
    "Alert",
    "AlertRule",
    "BatchChunk",
    "BatchRun",
    "Bucket",
    "CalibrationRun",
    "Channel",
    "Completion",
    "DriftAlarm",
    "ErrorCode",
    "Explanation",
    "ExplanationRun",
    "FairnessLimits",
    "FoldItem",
    "Label",
    "Message",
    "MonitoringRun",
    "MonitoringSchedule",
    "Prediction",
    "QualityLimit",
    "Report",
    "Retention",
    "RetrainDecision",
    "RetrainPolicy",
    "RetrainRules",
    "Silence",
    "Slice",
    "TeamRetrainPolicy",
    "Total",
    "Unchecked",
    "VolumeDay",
]
