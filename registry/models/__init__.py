"""Models, versions, artifacts, stage intervals, promotion requests and reviews, and the laws over them."""

from registry.models.approval import PromotionRequest, Review
from registry.models.laws import LAWS
from registry.models.mirror import MirrorChange, MirroredVersion
from registry.models.model import DeployPolicy, RegisteredModel
from registry.models.stage import StageInterval
from registry.models.version import Artifact, Version

__all__ = [
    "LAWS",
    "Artifact",
    "DeployPolicy",
    "MirrorChange",
    "MirroredVersion",
    "PromotionRequest",
    "RegisteredModel",
    "Review",
    "StageInterval",
    "Version",
]
