"""Models, versions, artifacts, stage intervals, promotion requests and reviews, and the laws over them."""

from registry.models.approval import ConditionClosing, PromotionRequest, Review
from registry.models.laws import LAWS
from registry.models.model import DeployPolicy, RegisteredModel
from registry.models.reviewing import Delegation, Notice, ValidationReport
from registry.models.stage import StageInterval
from registry.models.version import Artifact, Version

__all__ = [
    "LAWS",
    "Artifact",
    "ConditionClosing",
    "Delegation",
    "DeployPolicy",
    "Notice",
    "PromotionRequest",
    "RegisteredModel",
    "Review",
    "StageInterval",
    "ValidationReport",
    "Version",
]
