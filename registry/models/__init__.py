"""Models, versions, artifacts, stage intervals, promotion requests, reviews, incidents, and the laws over them."""

from registry.models.approval import PromotionRequest, Review
from registry.models.consumer import Consumer
from registry.models.incident import Incident
from registry.models.laws import LAWS
from registry.models.model import DeployPolicy, RegisteredModel
from registry.models.stage import StageInterval
from registry.models.version import Artifact, Version

__all__ = [
    "LAWS",
    "Artifact",
    "Consumer",
    "DeployPolicy",
    "Incident",
    "PromotionRequest",
    "RegisteredModel",
    "Review",
    "StageInterval",
    "Version",
]
