"""Reads of the registry. What the actor may not see is answered like what does not exist."""

from registry.selectors.absences import delegation_numbered, delegations, handed_over, standing_in
from registry.selectors.aliases import aliases, transfer_numbered, transfers
from registry.selectors.approvals import (
    QUORUM,
    Decidable,
    Diff,
    decidable,
    diff,
    has_open_requests,
    missing_roles,
    open_requests,
    request_numbered,
    requests,
    with_reviews,
)
from registry.selectors.cards import card, card_json, markdown, production_before, settled
from registry.selectors.comparison import comparison
from registry.selectors.conditions import condition_numbered, open_conditions, overdue_conditions
from registry.selectors.consumers import consumers, interface_change, interface_warnings
from registry.selectors.evidence import evidence_faults, evidence_of
from registry.selectors.explanations import (
    attributions,
    dependence,
    explainer_of,
    explanation_summary,
    global_explanation,
    importances,
)
from registry.selectors.holdouts import drift_said, holdout_drift
from registry.selectors.incidents import incident_numbered, incidents
from registry.selectors.inventory import INVENTORY_HEAD, InventoryLine, inventory, inventory_lines, inventory_table
from registry.selectors.lines import ModelLine, model_lines
from registry.selectors.mirror import Lag, in_mlflow, lag
from registry.selectors.models import (
    model_located,
    model_named,
    models,
    models_named,
    only_model,
    policy,
    with_aliases,
    with_names,
)
from registry.selectors.paged import Paged
from registry.selectors.period import PERIOD_HEAD, Happening, Period, period_report
from registry.selectors.reviewers import Told, reviewers
from registry.selectors.search import Facet, found_models, found_versions, model_facets, version_facets
from registry.selectors.side_by_side import side_by_side, versions_named
from registry.selectors.stages import (
    history,
    in_production,
    interval_at,
    intervals,
    life,
    rollback_target,
    rollback_targets,
    served_at,
)
from registry.selectors.trend import Trend, metric_trend
from registry.selectors.trials import Trial, trial
from registry.selectors.validation import report_numbered, reports, reports_digest
from registry.selectors.versions import (
    feature_schema,
    version_lines,
    version_loadable,
    version_located,
    version_numbered,
    version_serving,
    versions,
    versions_found,
    with_version_aliases,
)

__all__ = [
    "INVENTORY_HEAD",
    "PERIOD_HEAD",
    "QUORUM",
    "Decidable",
    "Diff",
    "Facet",
    "Happening",
    "InventoryLine",
    "Lag",
    "ModelLine",
    "Paged",
    "Period",
    "Told",
    "Trend",
    "Trial",
    "aliases",
    "attributions",
    "card",
    "card_json",
    "comparison",
    "condition_numbered",
    "consumers",
    "decidable",
    "delegation_numbered",
    "delegations",
    "dependence",
    "diff",
    "drift_said",
    "evidence_faults",
    "evidence_of",
    "explainer_of",
    "explanation_summary",
    "feature_schema",
    "found_models",
    "found_versions",
    "global_explanation",
    "handed_over",
    "has_open_requests",
    "history",
    "holdout_drift",
    "importances",
    "in_mlflow",
    "in_production",
    "incident_numbered",
    "incidents",
    "interface_change",
    "interface_warnings",
    "interval_at",
    "intervals",
    "inventory",
    "inventory_lines",
    "inventory_table",
    "lag",
    "life",
    "markdown",
    "metric_trend",
    "missing_roles",
    "model_facets",
    "model_lines",
    "model_located",
    "model_named",
    "models",
    "models_named",
    "only_model",
    "open_conditions",
    "open_requests",
    "overdue_conditions",
    "period_report",
    "policy",
    "production_before",
    "report_numbered",
    "reports",
    "reports_digest",
    "request_numbered",
    "requests",
    "reviewers",
    "rollback_target",
    "rollback_targets",
    "served_at",
    "settled",
    "side_by_side",
    "standing_in",
    "transfer_numbered",
    "transfers",
    "trial",
    "version_facets",
    "version_lines",
    "version_loadable",
    "version_located",
    "version_numbered",
    "version_serving",
    "versions",
    "versions_found",
    "versions_named",
    "with_aliases",
    "with_names",
    "with_reviews",
    "with_version_aliases",
]
