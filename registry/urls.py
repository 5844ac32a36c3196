"""Addresses of the registry's pages."""

from django.urls import path

from registry.dashboards.annotations import (
    AliasPage,
    DeprecatePage,
    DescribePage,
    ModelTagPage,
    ProtectionPage,
    VersionTagPage,
)
from registry.dashboards.catalog import ModelsPage, VersionsPage
from registry.dashboards.comparison import ComparePage, TrendPage
from registry.dashboards.custody import ArchivePage, OfferPage, TransferPage
from registry.dashboards.governance import CardPage, InventoryPage, PeriodPage
from registry.dashboards.incident import IncidentPage, IncidentsPage
from registry.dashboards.model import EditModelPage, NewModelPage, PolicyPage, RollbackPage
from registry.dashboards.queue import AbsencePage, ConditionPage, QueuePage, ReturnPage
from registry.dashboards.version import MovePage, ReportPage, RequestPage, VersionPage

urlpatterns = [
    path("approvals", QueuePage.as_view(), name="queue"),
    path("approvals/away", AbsencePage.as_view(), name="absence"),
    path("approvals/away/<int:pk>", ReturnPage.as_view(), name="absence_end"),
    path("approvals/conditions/<int:pk>", ConditionPage.as_view(), name="condition"),
    path("models", ModelsPage.as_view(), name="models"),
    path("versions", VersionsPage.as_view(), name="versions"),
    path("transfers/<int:pk>", TransferPage.as_view(), name="transfer"),
    path("new/model", NewModelPage.as_view(), name="model_new"),
    path("models/<str:model>/compare", ComparePage.as_view(), name="compare"),
    path("models/<str:model>/metrics", TrendPage.as_view(), name="trend"),
    path("models/<str:model>/edit", EditModelPage.as_view(), name="model_edit"),
    path("models/<str:model>/rollback", RollbackPage.as_view(), name="rollback"),
    path("models/<str:model>/policy", PolicyPage.as_view(), name="policy"),
    path("models/<str:model>/tag", ModelTagPage.as_view(), name="model_tag"),
    path("models/<str:model>/alias", AliasPage.as_view(), name="alias"),
    path("models/<str:model>/protection", ProtectionPage.as_view(), name="alias_protection"),
    path("models/<str:model>/archive", ArchivePage.as_view(), name="model_archive"),
    path("models/<str:model>/transfer", OfferPage.as_view(), name="model_transfer"),
    path("models/<str:model>/<str:number>/tag", VersionTagPage.as_view(), name="version_tag"),
    path("models/<str:model>/<str:number>/describe", DescribePage.as_view(), name="version_describe"),
    path("models/<str:model>/<str:number>/deprecate", DeprecatePage.as_view(), name="version_deprecate"),
    path("inventory", InventoryPage.as_view(), name="inventory"),
    path("period-report", PeriodPage.as_view(), name="period_report"),
    path("incidents", IncidentsPage.as_view(), name="incidents"),
    path("incidents/<int:pk>", IncidentPage.as_view(), name="incident"),
    path("models/<str:model>/<str:number>", VersionPage.as_view(), name="version"),
    path("models/<str:model>/<str:number>/card", CardPage.as_view(), name="version_card"),
    path("models/<str:model>/<str:number>/move", MovePage.as_view(), name="version_move"),
    path("models/<str:model>/<str:number>/report", ReportPage.as_view(), name="version_report"),
    path("models/<str:model>/<str:number>/request", RequestPage.as_view(), name="version_request"),
]
