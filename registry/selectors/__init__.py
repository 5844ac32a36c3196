"""Reads of the registry. What the actor may not see is answered like what does not exist."""

from registry.selectors.aliases import aliases, transfer_numbered, transfers
from registry.selectors.approvals import QUORUM, Decidable, decidable, missing_roles, request_numbered, requests
from registry.selectors.comparison import comparison
from registry.selectors.consumers import consumers, interface_change, interface_warnings
from registry.selectors.incidents import incident_numbered, incidents
from registry.selectors.models import model_named, models, policy, with_aliases
from registry.selectors.search import Facet, Paged, found_models, found_versions, model_facets, version_facets
from registry.selectors.stages import history, in_production, intervals, rollback_target, rollback_targets, served_at
from registry.selectors.versions import feature_schema, version_numbered, versions, versions_found, with_version_aliases

__all__ = [
    "QUORUM",
    "Decidable",
    "Facet",
    "Paged",
    "aliases",
    "comparison",
    "consumers",
    "decidable",
    "feature_schema",
    "found_models",
    "found_versions",
    "history",
    "in_production",
    "incident_numbered",
    "incidents",
    "interface_change",
    "interface_warnings",
    "intervals",
    "missing_roles",
    "model_facets",
    "model_named",
    "models",
    "policy",
    "request_numbered",
    "requests",
    "rollback_target",
    "rollback_targets",
    "served_at",
    "transfer_numbered",
    "transfers",
    "version_facets",
    "version_numbered",
    "versions",
    "versions_found",
    "with_aliases",
    "with_version_aliases",
]
