"""Addresses under /api/v1."""

from django.urls import path

from registry.api import approvals, paths, versions, views
from registry.choices import Decision

__all__ = ["paths", "urlpatterns"]

app_name = "registry"
urlpatterns = [
    path("models", views.Models.as_view(), name="models"),
    path("models/<model:name>/schema", views.Schema.as_view(), name="schema"),
    path("models/<model:name>/rollback", views.Rollback.as_view(), name="rollback"),
    path("models/<model:name>/compare/<version:v1>/<version:v2>", views.Compare.as_view(), name="compare"),
    path("models/<model:name>/versions", versions.Versions.as_view(), name="versions"),
    path("models/<model:name>/<version:version>", versions.VersionDetail.as_view(), name="version"),
    path("models/<model:name>/<version:version>/promote", views.Promote.as_view(), name="promote"),
    path("mlflow", views.Mirror.as_view(), name="mlflow"),
    path("approvals", approvals.Approvals.as_view(), name="approvals"),
    path("approvals/<int:pk>", approvals.Approval.as_view(), name="approval"),
    path("approvals/<int:pk>/approve", approvals.Review.as_view(decision=Decision.APPROVE), name="approve"),
    path("approvals/<int:pk>/reject", approvals.Review.as_view(decision=Decision.REJECT), name="reject"),
    path(
        "approvals/<int:pk>/request-changes",
        approvals.Review.as_view(decision=Decision.REQUEST_CHANGES),
        name="request-changes",
    ),
    path("approvals/<int:pk>/withdraw", approvals.Withdraw.as_view(), name="withdraw"),
]
