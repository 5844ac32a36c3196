"""The law of the registry, held by the database on both engines (see core.laws)."""

from __future__ import annotations

from mlops_site.core.laws import Law, append_only
from registry.choices import MOVES
from registry.models.approval_laws import APPROVAL_LAWS, QUORUM, changed
from registry.models.catalog_laws import CATALOG_LAWS

_APPROVED = f"""EXISTS (SELECT 1 FROM registry_promotionrequest r
    JOIN registry_version w ON w.id = r.version_id JOIN registry_registeredmodel m ON m.id = w.model_id
    WHERE r.id = NEW.request_id AND r.version_id = NEW.version_id AND r.status = 'approved'
    AND r.expires_at > CURRENT_TIMESTAMP AND r.artifact_digest = w.artifact_id AND {QUORUM}
    AND NOT EXISTS (SELECT 1 FROM registry_stageinterval u WHERE u.request_id = r.id))"""

_BY_POLICY = """EXISTS (SELECT 1 FROM registry_deploypolicy p
    JOIN registry_registeredmodel m ON m.id = p.model_id
    JOIN registry_version w ON w.id = NEW.version_id
    JOIN core_membership s ON s.user_id = p.set_by_id AND s.team_id = m.team_id AND s.role = 'approver'
    WHERE p.id = NEW.policy_id AND p.model_id = NEW.model_id AND p.reach = 'production' AND m.risk_tier <> 'high'
    AND (m.risk_tier = 'low' OR (p.set_by_id <> w.created_by_id AND p.set_by_id <> w.trained_by_id))
    AND p.id = (SELECT MAX(q.id) FROM registry_deploypolicy q WHERE q.model_id = NEW.model_id))"""

_BY_AN_APPROVER = """EXISTS (SELECT 1 FROM registry_registeredmodel m JOIN core_membership s ON s.team_id = m.team_id
    WHERE m.id = NEW.model_id AND s.user_id = NEW.by_id AND s.role = 'approver')"""

_SERVED_BEFORE = """EXISTS (SELECT 1 FROM registry_stageinterval i WHERE i.version_id = NEW.version_id
    AND i.stage = 'production' AND i.ended_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM registry_stageinterval t
    WHERE t.version_id = i.version_id AND t.cause = 'withdrawn' AND t.id > i.id))"""

_LAWFUL_PRODUCTION = f"""(
    (NEW.cause = 'approved' AND {_APPROVED})
    OR (NEW.cause = 'policy' AND {_BY_POLICY})
    OR (NEW.cause = 'rolled_back' AND {_SERVED_BEFORE} AND {_BY_AN_APPROVER}))"""

_LAST_STAGE = """COALESCE((SELECT i.stage FROM registry_stageinterval i WHERE i.version_id = NEW.version_id
    ORDER BY i.id DESC LIMIT 1), 'none')"""

# the table of moves, and what promotions and rollbacks add to it
_MOVES = ["none>development", *(f"{a}>{b}" for a, targets in MOVES.items() for b in targets)]
_SWAPS = [
    "production>archived>replaced",
    "production>staging>withdrawn",
    "production>archived>retired",
    "archived>production>rolled_back",
]
_A_MOVE = f"""({_LAST_STAGE} || '>' || NEW.stage IN ({", ".join(f"'{move}'" for move in _MOVES)})
    OR {_LAST_STAGE} || '>' || NEW.stage || '>' || NEW.cause IN ({", ".join(f"'{swap}'" for swap in _SWAPS)}))"""

_OVERLAPS = """EXISTS (SELECT 1 FROM registry_stageinterval i WHERE (i.ended_at IS NULL OR i.ended_at > NEW.started_at)
    AND (i.version_id = NEW.version_id
    OR (i.model_id = NEW.model_id AND i.stage = 'production' AND NEW.stage = 'production')))"""

LAWS: list[Law] = [
    *append_only("registry_version"),
    *append_only("registry_artifact"),
    *append_only("registry_deploypolicy"),
    *CATALOG_LAWS,
    *APPROVAL_LAWS,
    Law(
        "incident_of_its_model",
        "registry_incident",
        "INSERT",
        "NOT EXISTS (SELECT 1 FROM registry_version w WHERE w.id = NEW.version_id AND w.model_id = NEW.model_id)",
        "an incident names the model of its version",
    ),
    Law(
        "incident_only_closes",
        "registry_incident",
        "UPDATE",
        "OLD.closed_at IS NOT NULL OR NEW.closed_at IS NULL OR "
        + changed("id", "model_id", "version_id", "kind", "what", "opened_at")
        + " OR COALESCE(NEW.opened_by_id, 0) <> COALESCE(OLD.opened_by_id, 0)",
        "an incident is closed once and never changed otherwise",
    ),
    Law("incident_no_delete", "registry_incident", "DELETE", "1 = 1", "incidents are kept"),
    Law("incident_no_truncate", "registry_incident", "TRUNCATE", "1 = 1", "incidents are kept"),
    Law(
        "model_keeps_its_identity",
        "registry_registeredmodel",
        "UPDATE",
        changed("id", "name", "task_type", "created_by_id", "created_at"),
        "a model keeps its name and task",
    ),
    Law(
        "tier_stays_while_pending",
        "registry_registeredmodel",
        "UPDATE",
        "NEW.risk_tier <> OLD.risk_tier AND EXISTS (SELECT 1 FROM registry_promotionrequest r"
        " WHERE r.model_id = NEW.id AND r.status = 'pending')",
        "the risk tier stays while a promotion request is pending",
    ),
    Law(
        "interval_of_its_model",
        "registry_stageinterval",
        "INSERT",
        "NOT EXISTS (SELECT 1 FROM registry_version w WHERE w.id = NEW.version_id AND w.model_id = NEW.model_id)",
        "a stage interval names the model of its version",
    ),
    Law(
        "interval_follows_history",
        "registry_stageinterval",
        "INSERT",
        f"NEW.ended_at IS NOT NULL OR {_OVERLAPS}",
        "a stage interval begins open, when the one before it has ended",
    ),
    Law(
        "interval_follows_a_move",
        "registry_stageinterval",
        "INSERT",
        f"NOT {_A_MOVE}",
        "stages follow one another by the table of moves",
    ),
    Law(
        "production_needs_quorum",
        "registry_stageinterval",
        "INSERT",
        f"NEW.stage = 'production' AND NOT {_LAWFUL_PRODUCTION}",
        "production needs an approved request with quorum, a standing policy or a rollback",
    ),
    Law(
        "retired_by_an_approver",
        "registry_stageinterval",
        "INSERT",
        f"NEW.cause = 'retired' AND NOT {_BY_AN_APPROVER}",
        "an approver takes out what serves",
    ),
    Law(
        "interval_only_closes",
        "registry_stageinterval",
        "UPDATE",
        "OLD.ended_at IS NOT NULL OR NEW.ended_at IS NULL OR "
        + changed("id", "version_id", "model_id", "stage", "cause", "started_at", "reason")
        + " OR COALESCE(NEW.request_id, 0) <> COALESCE(OLD.request_id, 0)"
        + " OR COALESCE(NEW.policy_id, 0) <> COALESCE(OLD.policy_id, 0)"
        + " OR COALESCE(NEW.by_id, 0) <> COALESCE(OLD.by_id, 0)",
        "a stage interval is closed once and never changed otherwise",
    ),
    Law("interval_no_delete", "registry_stageinterval", "DELETE", "1 = 1", "stage history is kept"),
    Law("interval_no_truncate", "registry_stageinterval", "TRUNCATE", "1 = 1", "stage history is kept"),
]
