"""People, tokens, the audit chain, idempotency keys and the leased job row."""

from mlops_site.core.laws import append_only
from mlops_site.core.models.audit import AuditRecord, ChainHead
from mlops_site.core.models.idempotency import IdempotencyKey
from mlops_site.core.models.job import Job
from mlops_site.core.models.people import Membership, Team, Token, User

__all__ = ["LAWS", "AuditRecord", "ChainHead", "IdempotencyKey", "Job", "Membership", "Team", "Token", "User"]

LAWS = append_only("core_auditrecord")
