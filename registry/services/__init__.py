"""Writes of the registry: models, versions, stages, approvals, rollback."""

from registry.services.absences import delegate_reviews, end_delegation
from registry.services.approvals import request_promotion, review_request, withdraw_request
from registry.services.catalog import create_model, edit_model, set_deploy_policy
from registry.services.conditions import close_condition
from registry.services.stages import Promotion, Rollback, deploy_by_policy, move_stage, rollback
from registry.services.sweeps import sweep_approvals
from registry.services.uploads import upload_version
from registry.services.validation import attach_report
from registry.services.versions import Candidate, register_version

__all__ = [
    "Candidate",
    "Promotion",
    "Rollback",
    "attach_report",
    "close_condition",
    "create_model",
    "delegate_reviews",
    "deploy_by_policy",
    "edit_model",
    "end_delegation",
    "move_stage",
    "register_version",
    "request_promotion",
    "review_request",
    "rollback",
    "set_deploy_policy",
    "sweep_approvals",
    "upload_version",
    "withdraw_request",
]
