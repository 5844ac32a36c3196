"""Reads of the registry. What the actor may not see is answered like what does not exist."""

from registry.selectors.approvals import (
    QUORUM,
    Decidable,
    decidable,
    missing_roles,
    open_requests,
    request_numbered,
    requests,
)
from registry.selectors.comparison import comparison
from registry.selectors.models import model_located, model_named, models, policy
from registry.selectors.stages import history, in_production, intervals, life, rollback_target, served_at
from registry.selectors.versions import feature_schema, version_numbered, versions

__all__ = [
    "QUORUM",
    "Decidable",
    "comparison",
    "decidable",
    "feature_schema",
    "history",
    "in_production",
    "intervals",
    "life",
    "missing_roles",
    "model_located",
    "model_named",
    "models",
    "open_requests",
    "policy",
    "request_numbered",
    "requests",
    "rollback_target",
    "served_at",
    "version_numbered",
    "versions",
]
