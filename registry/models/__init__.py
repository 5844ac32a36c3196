"""Models, versions, artifacts, stages, approvals, incidents, aliases, tags, transfers, and the laws over them."""

from registry.models.alias import Alias, AliasProtection
from registry.models.approval import ConditionClosing, PromotionRequest, Review
from registry.models.consumer import Consumer
from registry.models.incident import Incident
from registry.models.laws import LAWS
from registry.models.mirror import MirrorChange, MirroredVersion
from registry.models.model import DeployPolicy, RegisteredModel
from registry.models.remark import Remark
from registry.models.reviewing import Delegation, Notice, ValidationReport
from registry.models.stage import StageInterval
from registry.models.tag import ModelTag, VersionTag
from registry.models.transfer import Transfer
from registry.models.version import Artifact, Version

__all__ = [
    "LAWS",
    "Alias",
    "AliasProtection",
    "Artifact",
    "ConditionClosing",
    "Consumer",
    "Delegation",
    "DeployPolicy",
    "Incident",
    "MirrorChange",
    "MirroredVersion",
    "ModelTag",
    "Notice",
    "PromotionRequest",
    "RegisteredModel",
    "Remark",
    "Review",
    "StageInterval",
    "Transfer",
    "ValidationReport",
    "Version",
    "VersionTag",
]
