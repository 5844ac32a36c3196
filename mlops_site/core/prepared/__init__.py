"""Statements whose SQL is built once per process and, on PostgreSQL, planned once per connection: on a hot path both
take longer than running them."""

from mlops_site.core.prepared.columns import Prepared
from mlops_site.core.prepared.objects import PreparedObjects, attach, detach
from mlops_site.core.prepared.rows import insert
from mlops_site.core.prepared.statements import Among

__all__ = ["Among", "Prepared", "PreparedObjects", "attach", "detach", "insert"]
