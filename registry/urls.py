"""Addresses of the registry's pages."""

from django.urls import path

from registry.dashboards.catalog import ModelsPage
from registry.dashboards.comparison import ComparePage
from registry.dashboards.model import NewModelPage, PolicyPage, RollbackPage
from registry.dashboards.queue import AbsencePage, ConditionPage, QueuePage, ReturnPage
from registry.dashboards.version import MovePage, ReportPage, RequestPage, VersionPage

urlpatterns = [
    path("approvals", QueuePage.as_view(), name="queue"),
    path("approvals/away", AbsencePage.as_view(), name="absence"),
    path("approvals/away/<int:pk>", ReturnPage.as_view(), name="absence_end"),
    path("approvals/conditions/<int:pk>", ConditionPage.as_view(), name="condition"),
    path("models", ModelsPage.as_view(), name="models"),
    path("new/model", NewModelPage.as_view(), name="model_new"),
    path("models/<str:model>/compare", ComparePage.as_view(), name="compare"),
    path("models/<str:model>/rollback", RollbackPage.as_view(), name="rollback"),
    path("models/<str:model>/policy", PolicyPage.as_view(), name="policy"),
    path("models/<str:model>/<str:number>", VersionPage.as_view(), name="version"),
    path("models/<str:model>/<str:number>/move", MovePage.as_view(), name="version_move"),
    path("models/<str:model>/<str:number>/report", ReportPage.as_view(), name="version_report"),
    path("models/<str:model>/<str:number>/request", RequestPage.as_view(), name="version_request"),
]
