"""The law of approvals: requests, reviews, conditions and delegations."""

from __future__ import annotations

from mlops_site.core.laws import Law, append_only, in_days
from registry.choices import LONGEST_DAYS

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


def changed(*columns: str) -> str:
    """True when one of the columns would change."""
    return " OR ".join(f"NEW.{c} <> OLD.{c}" for c in columns)


APPROVAL_LAWS: list[Law] = [
    *append_only("registry_conditionclosing"),
    *append_only("registry_validationreport"),
    Law(
        "registry_review_no_update",
        "registry_review",
        "UPDATE",
        "OLD.voided_at IS NOT NULL OR NEW.voided_at IS NULL OR "
        + changed(
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
        + changed(
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
        + changed("id", "team_id", "person_id", "delegate_id", "starts_at", "ends_at", "reason", "created_at"),
        "a delegation is ended once and never changed otherwise",
    ),
    Law("delegation_no_delete", "registry_delegation", "DELETE", "1 = 1", "delegations are kept"),
    Law("delegation_no_truncate", "registry_delegation", "TRUNCATE", "1 = 1", "delegations are kept"),
]
