"""Addresses of monitoring's pages. They come before the registry's, whose versions have addresses of the same form."""

from django.urls import path

from monitoring.dashboards import batches, channels
from monitoring.dashboards.alerts import AlertPage, AlertsPage
from monitoring.dashboards.model import MonitoringPage
from monitoring.dashboards.policy import RetrainDecisionsPage, RetrainPolicyPage, TeamRetrainPolicyPage
from monitoring.dashboards.reports import ReportPage, ReportsPage
from monitoring.dashboards.skew import SkewPage

urlpatterns = [
    path("alerts", AlertsPage.as_view(), name="alerts"),
    path("alerts/<uuid:pk>", AlertPage.as_view(), name="alert"),
    path("channels", channels.ChannelsPage.as_view(), name="channels"),
    path("channels/new", channels.ChannelKindsPage.as_view(), name="channel_kinds"),
    path("channels/new/<str:kind>", channels.ChannelNewPage.as_view(), name="channel_new"),
    path("channels/<uuid:pk>", channels.ChannelPage.as_view(), name="channel"),
    path("channels/<uuid:pk>/log", channels.ChannelLogPart.as_view(), name="channel_log"),
    path("channels/<uuid:pk>/change", channels.ChannelChangePage.as_view(), name="channel_change"),
    path("channels/<uuid:pk>/delete", channels.ChannelDeletePage.as_view(), name="channel_delete"),
    path("scoring", batches.BatchesPage.as_view(), name="batches"),
    path("scoring/new", batches.ScorePage.as_view(), name="batch_new"),
    path("scoring/<uuid:pk>", batches.BatchPage.as_view(), name="batch"),
    path("scoring/<uuid:pk>/progress", batches.BatchProgressPart.as_view(), name="batch_progress"),
    path("scoring/<uuid:pk>/cancel", batches.BatchCancelPage.as_view(), name="batch_cancel"),
    path("reports", ReportsPage.as_view(), name="reports"),
    path("reports/<uuid:pk>", ReportPage.as_view(), name="report"),
    path("retraining", RetrainDecisionsPage.as_view(), name="retrain_decisions"),
    path("retraining/teams/<str:team>", TeamRetrainPolicyPage.as_view(), name="team_retrain_policy"),
    path("models/<str:model>/retraining", RetrainPolicyPage.as_view(), name="retrain_policy"),
    path("models/<str:model>/skew", SkewPage.as_view(), name="skew"),
    path("models/<str:model>/monitoring", MonitoringPage.as_view(), name="monitoring"),
]
