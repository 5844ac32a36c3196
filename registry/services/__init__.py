"""Writes of the registry: models, versions, stages, approvals, rollback, and what people say of them."""

from registry.services.absences import delegate_reviews, end_delegation
from registry.services.aliases import protect_alias, remove_alias, set_alias
from registry.services.annotations import (
    deprecate_version,
    describe_version,
    remove_tag,
    set_tag,
    undeprecate_version,
)
from registry.services.approvals import request_promotion, review_request, withdraw_request
from registry.services.archiving import archive_model, restore_model
from registry.services.catalog import create_model, edit_model, set_deploy_policy
from registry.services.conditions import close_condition
from registry.services.consumers import note_use
from registry.services.incidents import close_incident, open_incident
from registry.services.rollback import Rollback, rollback
from registry.services.stages import Promotion, deploy_by_policy, move_stage
from registry.services.sweeps import sweep_approvals
from registry.services.transfers import accept_transfer, decline_transfer, offer_transfer, withdraw_transfer
from registry.services.uploads import upload_version
from registry.services.validation import attach_report
from registry.services.versions import Candidate, register_version

__all__ = [
    "Candidate",
    "Promotion",
    "Rollback",
    "accept_transfer",
    "archive_model",
    "attach_report",
    "close_condition",
    "close_incident",
    "create_model",
    "decline_transfer",
    "delegate_reviews",
    "deploy_by_policy",
    "deprecate_version",
    "describe_version",
    "edit_model",
    "end_delegation",
    "move_stage",
    "note_use",
    "offer_transfer",
    "open_incident",
    "protect_alias",
    "register_version",
    "remove_alias",
    "remove_tag",
    "request_promotion",
    "restore_model",
    "review_request",
    "rollback",
    "set_alias",
    "set_deploy_policy",
    "set_tag",
    "sweep_approvals",
    "undeprecate_version",
    "upload_version",
    "withdraw_request",
    "withdraw_transfer",
]
