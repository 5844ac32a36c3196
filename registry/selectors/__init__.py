"""Reads of the registry. What the actor may not see is answered like what does not exist."""

from registry.selectors.absences import delegation_numbered, delegations, handed_over, standing_in
from registry.selectors.approvals import (
    QUORUM,
    Decidable,
    Diff,
    decidable,
    diff,
    missing_roles,
    request_numbered,
    requests,
)
from registry.selectors.comparison import comparison
from registry.selectors.conditions import condition_numbered, open_conditions, overdue_conditions
from registry.selectors.holdouts import drift_said, holdout_drift
from registry.selectors.models import model_named, models, policy
from registry.selectors.reviewers import Told, reviewers
from registry.selectors.stages import history, in_production, intervals, rollback_target, served_at
from registry.selectors.trials import Trial, trial
from registry.selectors.validation import report_numbered, reports, reports_digest
from registry.selectors.versions import feature_schema, version_numbered, versions

__all__ = [
    "QUORUM",
    "Decidable",
    "Diff",
    "Told",
    "Trial",
    "comparison",
    "condition_numbered",
    "decidable",
    "delegation_numbered",
    "delegations",
    "diff",
    "drift_said",
    "feature_schema",
    "handed_over",
    "history",
    "holdout_drift",
    "in_production",
    "intervals",
    "missing_roles",
    "model_named",
    "models",
    "open_conditions",
    "overdue_conditions",
    "policy",
    "report_numbered",
    "reports",
    "reports_digest",
    "request_numbered",
    "requests",
    "reviewers",
    "rollback_target",
    "served_at",
    "standing_in",
    "trial",
    "version_numbered",
    "versions",
]
