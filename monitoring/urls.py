"""Addresses of monitoring's pages. They come before the registry's, whose versions have addresses of the same form."""

from django.urls import path

from monitoring.dashboards import batches, channels
from monitoring.dashboards.alarms import DriftAlarmPage
from monitoring.dashboards.alert import AlertPage
from monitoring.dashboards.alert_rules import AlertRulePage, AlertRulesPage
from monitoring.dashboards.alerts import AlertsPage
from monitoring.dashboards.limits import LimitPage, LimitsPage
from monitoring.dashboards.model import MonitoringPage
from monitoring.dashboards.policy import RetrainDecisionsPage, RetrainPolicyPage, TeamRetrainPolicyPage
from monitoring.dashboards.reports import ReportPage, ReportsPage
from monitoring.dashboards.retention import RetentionPage
from monitoring.dashboards.schedules import BackfillPage, MonitoringSchedulePage
from monitoring.dashboards.silences import SilenceEndPage, SilencesPage
from monitoring.dashboards.skew import SkewPage
from monitoring.dashboards.slices import SlicesPage

urlpatterns = [
    path("alerts", AlertsPage.as_view(), name="alerts"),
    path("alerts/silences", SilencesPage.as_view(), name="silences"),
    path("alerts/silences/<int:pk>/end", SilenceEndPage.as_view(), name="silence_end"),
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
    path("models/<str:model>/monitoring/schedule", MonitoringSchedulePage.as_view(), name="monitoring_schedule"),
    path("models/<str:model>/monitoring/past", BackfillPage.as_view(), name="backfill"),
    path("models/<str:model>/slices", SlicesPage.as_view(), name="slices"),
    path("models/<str:model>/drift-alarm", DriftAlarmPage.as_view(), name="drift_alarm"),
    path("models/<str:model>/limits", LimitsPage.as_view(), name="quality_limits"),
    path("models/<str:model>/limits/set", LimitPage.as_view(), name="quality_limit"),
    path("models/<str:model>/retention", RetentionPage.as_view(), name="retention"),
    path("models/<str:model>/alert-rules", AlertRulesPage.as_view(), name="alert_rules"),
    path("models/<str:model>/alert-rules/<str:rule>", AlertRulePage.as_view(), name="alert_rule"),
    path("models/<str:model>/skew", SkewPage.as_view(), name="skew"),
    path("models/<str:model>/monitoring", MonitoringPage.as_view(), name="monitoring"),
]
