"""Writes of the registry: models, versions, stages, approvals, rollback."""

from registry.services.approvals import request_promotion, review_request, withdraw_request
from registry.services.catalog import create_model, edit_model, set_deploy_policy
from registry.services.consumers import note_use
from registry.services.incidents import close_incident, open_incident
from registry.services.rollback import Rollback, rollback
from registry.services.stages import Promotion, deploy_by_policy, move_stage
from registry.services.uploads import upload_version
from registry.services.versions import Candidate, register_version

__all__ = [
    "Candidate",
    "Promotion",
    "Rollback",
    "close_incident",
    "create_model",
    "deploy_by_policy",
    "edit_model",
    "move_stage",
    "note_use",
    "open_incident",
    "register_version",
    "request_promotion",
    "review_request",
    "rollback",
    "set_deploy_policy",
    "upload_version",
    "withdraw_request",
]
