"""The law of the registry, held by the database on both engines (see core.laws)."""

from __future__ import annotations

from mlops_site.core.laws import Law, append_only, in_days
from registry.choices import LONGEST_DAYS, MOVES
from registry.models.catalog_laws import CATALOG_LAWS

_APPROVALS = """(SELECT COUNT(*) FROM registry_review v WHERE v.request_id = r.id AND v.voided_at IS NULL
    AND v.decision IN ('approve', 'approve_with_conditions') AND v.reports_seen = (SELECT COUNT(*)
        FROM registry_validationreport p WHERE p.version_id = r.version_id)
    AND EXISTS (SELECT 1 FROM core_membership s JOIN core_user u ON u.id = s.user_id AND u.is_active
        WHERE s.user_id = v.reviewer_id AND s.team_id = m.team_id AND s.role = v.role)
    AND v.evidence_digest = r.evidence_digest AND v.artifact_digest = r.artifact_digest
    AND v.reviewer_id <> r.requester_id
    AND (m.risk_tier = 'low' OR (v.reviewer_id <> r.author_id AND v.reviewer_id <> r.trainer_id))
    {more})"""
_BY_APPROVER = _APPROVALS.format(more="AND v.role = 'approver'")
_BY_VALIDATOR = _APPROVALS.format(more="AND v.role = 'validator'")

# a void objection stands: else voiding one would be a way around it
_OBJECTED = """EXISTS (SELECT 1 FROM registry_review x WHERE x.request_id = r.id
    AND x.decision NOT IN ('approve', 'approve_with_conditions'))"""

# the quorum by risk tier: low and medium one approver; high two people, an approver and a validator; nobody objects
QUORUM = f"""({_BY_APPROVER} >= 1 AND (m.risk_tier <> 'high' OR {_BY_VALIDATOR} >= 1) AND NOT {_OBJECTED})"""

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

_TRUE_COPIES = """EXISTS (SELECT 1 FROM registry_promotionrequest r JOIN registry_registeredmodel m ON m.id = r.model_id
    WHERE r.id = NEW.request_id AND r.status = 'pending' AND r.requester_id = NEW.requester_id
    AND r.author_id = NEW.author_id AND r.trainer_id = NEW.trainer_id AND r.evidence_digest = NEW.evidence_digest
    AND r.artifact_digest = NEW.artifact_digest AND m.risk_tier = NEW.risk_tier
    AND NEW.voided_at IS NULL AND NEW.reports_seen = (SELECT COUNT(*) FROM registry_validationreport p
        WHERE p.version_id = r.version_id))"""

_HOLDS_ROLE = """EXISTS (SELECT 1 FROM registry_promotionrequest r JOIN registry_registeredmodel m ON m.id = r.model_id
    JOIN core_membership s ON s.team_id = m.team_id AND s.user_id = NEW.reviewer_id AND s.role = NEW.role
    JOIN core_user u ON u.id = s.user_id AND u.is_active WHERE r.id = NEW.request_id)"""

_TRUE_REQUEST = """EXISTS (SELECT 1 FROM registry_version w WHERE w.id = NEW.version_id AND w.model_id = NEW.model_id
    AND w.created_by_id = NEW.author_id AND w.trained_by_id = NEW.trainer_id AND w.artifact_id = NEW.artifact_digest)"""

_MAY_CLOSE = """EXISTS (SELECT 1 FROM registry_review v JOIN registry_promotionrequest r ON r.id = v.request_id
    JOIN registry_registeredmodel m ON m.id = r.model_id
    JOIN core_membership s ON s.team_id = m.team_id AND s.user_id = NEW.by_id AND s.role = 'approver'
    JOIN core_user u ON u.id = s.user_id AND u.is_active
    WHERE v.id = NEW.review_id AND v.decision = 'approve_with_conditions' AND r.status = 'approved'
    AND NEW.by_id <> r.requester_id
    AND (m.risk_tier = 'low' OR (NEW.by_id <> r.author_id AND NEW.by_id <> r.trainer_id)))"""

_SAME_ROLE = """EXISTS (SELECT 1 FROM core_membership a
    JOIN core_membership b ON b.team_id = a.team_id AND b.role = a.role
    JOIN core_user u ON u.id = b.user_id AND u.is_active WHERE a.team_id = NEW.team_id
    AND a.user_id = NEW.person_id AND b.user_id = NEW.delegate_id AND a.role IN ('approver', 'validator'))"""


def _changed(*columns: str) -> str:
    """True when one of the columns would change."""
    return " OR ".join(f"NEW.{c} <> OLD.{c}" for c in columns)


LAWS: list[Law] = [
    *append_only("registry_version"),
    *append_only("registry_artifact"),
    *append_only("registry_deploypolicy"),
    *append_only("registry_conditionclosing"),
    *append_only("registry_validationreport"),
    Law(
        "registry_review_no_update",
        "registry_review",
        "UPDATE",
        "OLD.voided_at IS NOT NULL OR NEW.voided_at IS NULL OR "
        + _changed(
            "id",
            "request_id",
            "reviewer_id",
            "role",
            "decision",
            "comment",
            "condition",
            "revalidate_on",
            "requester_id",
            "author_id",
            "trainer_id",
            "risk_tier",
            "evidence_digest",
            "artifact_digest",
            "reports_seen",
            "reports_digest",
            "created_at",
        ),
        "a review is voided once and never changed otherwise",
    ),
    Law("registry_review_no_delete", "registry_review", "DELETE", "1 = 1", "registry_review is append-only"),
    Law("registry_review_no_truncate", "registry_review", "TRUNCATE", "1 = 1", "registry_review is append-only"),
    *CATALOG_LAWS,
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
        + _changed("id", "model_id", "version_id", "kind", "what", "opened_at")
        + " OR COALESCE(NEW.opened_by_id, 0) <> COALESCE(OLD.opened_by_id, 0)",
        "an incident is closed once and never changed otherwise",
    ),
    Law("incident_no_delete", "registry_incident", "DELETE", "1 = 1", "incidents are kept"),
    Law("incident_no_truncate", "registry_incident", "TRUNCATE", "1 = 1", "incidents are kept"),
    Law(
        "model_keeps_its_identity",
        "registry_registeredmodel",
        "UPDATE",
        _changed("id", "name", "task_type", "created_by_id", "created_at"),
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
        + _changed("id", "version_id", "model_id", "stage", "cause", "started_at", "reason")
        + " OR COALESCE(NEW.request_id, 0) <> COALESCE(OLD.request_id, 0)"
        + " OR COALESCE(NEW.policy_id, 0) <> COALESCE(OLD.policy_id, 0)"
        + " OR COALESCE(NEW.by_id, 0) <> COALESCE(OLD.by_id, 0)",
        "a stage interval is closed once and never changed otherwise",
    ),
    Law("interval_no_delete", "registry_stageinterval", "DELETE", "1 = 1", "stage history is kept"),
    Law("interval_no_truncate", "registry_stageinterval", "TRUNCATE", "1 = 1", "stage history is kept"),
    Law(
        "request_is_true",
        "registry_promotionrequest",
        "INSERT",
        f"NEW.status <> 'pending' OR NOT {_TRUE_REQUEST}",
        "a request starts pending and names its version as it is",
    ),
    Law(
        "request_expires",
        "registry_promotionrequest",
        "INSERT",
        f"NEW.expires_at > {in_days(LONGEST_DAYS + 1)}",
        "a request waits for a decision for a bounded time",
    ),
    Law(
        "request_only_decided",
        "registry_promotionrequest",
        "UPDATE",
        "OLD.status IN ('rejected', 'withdrawn', 'void', 'changes_requested', 'expired')"
        " OR (OLD.status = 'approved' AND NEW.status <> 'void') OR "
        + _changed(
            "id",
            "version_id",
            "model_id",
            "requester_id",
            "author_id",
            "trainer_id",
            "reason",
            "why_material",
            "evidence",
            "evidence_digest",
            "artifact_digest",
            "created_at",
            "expires_at",
        ),
        "a request is decided once; what it asks never changes",
    ),
    Law(
        "approved_needs_quorum",
        "registry_promotionrequest",
        "UPDATE",
        "NEW.status = 'approved' AND NOT EXISTS (SELECT 1 FROM registry_promotionrequest r"
        f" JOIN registry_registeredmodel m ON m.id = r.model_id WHERE r.id = NEW.id AND {QUORUM})",
        "a request is approved by its quorum",
    ),
    Law(
        "approved_in_time",
        "registry_promotionrequest",
        "UPDATE",
        "NEW.status = 'approved' AND OLD.status <> 'approved' AND NEW.expires_at <= CURRENT_TIMESTAMP",
        "a request that has expired is not approved",
    ),
    Law("request_no_delete", "registry_promotionrequest", "DELETE", "1 = 1", "requests are kept"),
    Law("request_no_truncate", "registry_promotionrequest", "TRUNCATE", "1 = 1", "requests are kept"),
    Law(
        "review_copies_are_true",
        "registry_review",
        "INSERT",
        f"NOT {_TRUE_COPIES}",
        "a review belongs to a pending request and copies it truly",
    ),
    Law(
        "review_in_time",
        "registry_review",
        "INSERT",
        "EXISTS (SELECT 1 FROM registry_promotionrequest r WHERE r.id = NEW.request_id"
        " AND r.expires_at <= CURRENT_TIMESTAMP)",
        "a request that has expired is not reviewed",
    ),
    Law(
        "review_by_its_role",
        "registry_review",
        "INSERT",
        f"NOT {_HOLDS_ROLE}",
        "a reviewer holds the role in the team of the model",
    ),
    Law(
        "condition_closed_by_another",
        "registry_conditionclosing",
        "INSERT",
        f"NOT {_MAY_CLOSE}",
        "a condition is closed by an approver who neither requested nor made the version",
    ),
    Law(
        "delegate_holds_the_role",
        "registry_delegation",
        "INSERT",
        f"NEW.ended_at IS NOT NULL OR NOT {_SAME_ROLE}",
        "a delegate holds the reviewing role of the person who is away",
    ),
    Law(
        "delegation_only_ends",
        "registry_delegation",
        "UPDATE",
        "OLD.ended_at IS NOT NULL OR NEW.ended_at IS NULL OR "
        + _changed("id", "team_id", "person_id", "delegate_id", "starts_at", "ends_at", "reason", "created_at"),
        "a delegation is ended once and never changed otherwise",
    ),
    Law("delegation_no_delete", "registry_delegation", "DELETE", "1 = 1", "delegations are kept"),
    Law("delegation_no_truncate", "registry_delegation", "TRUNCATE", "1 = 1", "delegations are kept"),
]
