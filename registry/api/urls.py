"""Addresses under /api/v1."""

from django.urls import path

from registry.api import (
    approvals,
    catalog,
    comparisons,
    custody,
    governance,
    incidents,
    paths,
    reviewing,
    versions,
    views,
)
from registry.choices import Decision

__all__ = ["paths", "urlpatterns"]

app_name = "registry"
_VERSION = "models/<model:name>/<version:version>"
urlpatterns = [
    path("models", views.Models.as_view(), name="models"),
    path("models/<model:name>/<version:version>", versions.VersionDetail.as_view(), name="version"),
    path("models/<model:name>/schema", views.Schema.as_view(), name="schema"),
    path("models/<model:name>/rollback", views.Rollback.as_view(), name="rollback"),
    path("models/<model:name>/consumers", views.Consumers.as_view(), name="consumers"),
    path("models/<model:name>/compare/<version:v1>/<version:v2>", views.Compare.as_view(), name="compare"),
    path("models/<model:name>/compare", comparisons.CompareMany.as_view(), name="compare-many"),
    path("models/<model:name>/metrics", comparisons.MetricTrend.as_view(), name="metric-trend"),
    path("models/<model:name>/versions", versions.Versions.as_view(), name="versions"),
    path("models/<model:name>/<version:version>/card", governance.CardView.as_view(), name="card"),
    path("models/<model:name>/<version:version>/card.md", governance.CardMarkdown.as_view(), name="card-markdown"),
    path("models/<model:name>/<version:version>/evidence", governance.Evidence.as_view(), name="evidence"),
    path("inventory", governance.Inventory.as_view(), name="inventory"),
    path("inventory.csv", governance.InventorySheet.as_view(), name="inventory-csv"),
    path("period-report", governance.PeriodReport.as_view(), name="period-report"),
    path("period-report.csv", governance.PeriodSheet.as_view(), name="period-report-csv"),
    path("models/<model:name>/<version:version>/promote", views.Promote.as_view(), name="promote"),
    path("models/<model:name>/tags/<str:key>", catalog.ModelTagDetail.as_view(), name="model-tag"),
    path("models/<model:name>/aliases", catalog.Aliases.as_view(), name="aliases"),
    path("models/<model:name>/aliases/<str:alias>", catalog.AliasDetail.as_view(), name="alias"),
    path(
        "models/<model:name>/aliases/<str:alias>/protection", catalog.AliasProtection.as_view(), name="alias-protection"
    ),
    path("models/<model:name>/archive", custody.Archive.as_view(), name="archive"),
    path("models/<model:name>/restore", custody.Restore.as_view(), name="restore"),
    path("models/<model:name>/transfers", custody.Offer.as_view(), name="offer"),
    path(f"{_VERSION}/tags/<str:key>", catalog.VersionTagDetail.as_view(), name="version-tag"),
    path(f"{_VERSION}/deprecation", catalog.Deprecation.as_view(), name="deprecation"),
    path("versions", catalog.FoundVersions.as_view(), name="found-versions"),
    path("transfers", custody.Transfers.as_view(), name="transfers"),
    path("transfers/<int:pk>", custody.TransferDetail.as_view(), name="transfer"),
    path("transfers/<int:pk>/accept", custody.Accept.as_view(), name="transfer-accept"),
    path("transfers/<int:pk>/decline", custody.Decline.as_view(), name="transfer-decline"),
    path("transfers/<int:pk>/withdraw", custody.WithdrawOffer.as_view(), name="transfer-withdraw"),
    path("incidents", incidents.Incidents.as_view(), name="incidents"),
    path("incidents/<int:pk>", incidents.IncidentDetail.as_view(), name="incident"),
    path("incidents/<int:pk>/close", incidents.CloseIncident.as_view(), name="incident-close"),
    path("models/<model:name>/<version:version>/reports", reviewing.Reports.as_view(), name="validation_reports"),
    path("validation-reports/<int:pk>", reviewing.ReportFile.as_view(), name="validation_report"),
    path("conditions", reviewing.Conditions.as_view(), name="conditions"),
    path("conditions/<int:pk>/close", reviewing.CloseCondition.as_view(), name="close_condition"),
    path("delegations", reviewing.Delegations.as_view(), name="delegations"),
    path("delegations/<int:pk>/end", reviewing.EndDelegation.as_view(), name="end_delegation"),
    path("approvals", approvals.Approvals.as_view(), name="approvals"),
    path("approvals/<int:pk>", approvals.Approval.as_view(), name="approval"),
    path("approvals/<int:pk>/approve", approvals.Approve.as_view(), name="approve"),
    path("approvals/<int:pk>/try", approvals.Trial.as_view(), name="trial"),
    path("approvals/<int:pk>/reject", approvals.Review.as_view(decision=Decision.REJECT), name="reject"),
    path(
        "approvals/<int:pk>/request-changes",
        approvals.Review.as_view(decision=Decision.REQUEST_CHANGES),
        name="request-changes",
    ),
    path("approvals/<int:pk>/withdraw", approvals.Withdraw.as_view(), name="withdraw"),
]
