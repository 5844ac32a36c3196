"""The validation reports of a version."""

from __future__ import annotations

from django.db.models import QuerySet

from mlops_site.core import events
from mlops_site.core.errors import NotFound
from mlops_site.core.permissions import Actor, visible
from mlops_site.core.prepared import PreparedObjects
from registry.models import ValidationReport, Version


def reports(version: Version) -> QuerySet[ValidationReport]:
    """In the order in which they were attached."""
    return version.reports.select_related("by").order_by("pk")


def report_numbered(actor: Actor, pk: int) -> ValidationReport:
    """One report; NotFound if it is absent or another team's."""
    rows = visible(actor, ValidationReport.objects.filter(pk=pk), team="version__model__team")
    found = rows.select_related("by", "version__model").first()
    if found is None:
        raise NotFound(f"no validation report {pk} here, or it belongs to another team", code="unknown_report")
    return found


def reports_digest(version: Version) -> tuple[int, str]:
    """How many there are, and the digest of the list of theirs: what a review is bound to."""
    digests = [digest for (digest,) in _digests(version.pk)]
    return len(digests), events.digest_of(digests)


@PreparedObjects
def _digests(version: int) -> QuerySet[ValidationReport, tuple[str]]:
    return ValidationReport.objects.filter(version=version).order_by("pk").values_list("digest")
