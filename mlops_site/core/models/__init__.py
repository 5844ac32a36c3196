"""People, tokens, the audit chain, idempotency keys, leases, deliveries and the leased job row."""

from mlops_site.core.laws import append_only
from mlops_site.core.models.audit import AuditRecord, ChainHead
from mlops_site.core.models.delivery import Delivery
from mlops_site.core.models.idempotency import IdempotencyKey
from mlops_site.core.models.job import Job
from mlops_site.core.models.lease import Lease
from mlops_site.core.models.notification import Notification
from mlops_site.core.models.people import Membership, Team, Token, User

__all__ = [
    "LAWS",
    "AuditRecord",
    "ChainHead",
    "Delivery",
    "IdempotencyKey",
    "Job",
    "Lease",
    "Membership",
    "Notification",
    "Team",
    "Token",
    "User",
]

LAWS = append_only("core_auditrecord")
