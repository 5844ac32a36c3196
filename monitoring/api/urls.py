"""Addresses under /api/v1."""

from __future__ import annotations

from django.urls import path

from monitoring.api import alert_rules, alerts, batches, dashboard, ingest, policies, reports, skew

app_name = "monitoring"
urlpatterns = [
    path("models/<model:name>/retrain-policy", policies.Policy.as_view(), name="retrain-policy"),
    path("models/<model:name>/retrain-policy/dry-run", policies.DryRun.as_view(), name="retrain-dry-run"),
    path("teams/<str:team>/retrain-policy", policies.TeamPolicy.as_view(), name="team-retrain-policy"),
    path("monitoring/retrain-decisions", policies.Decisions.as_view(), name="retrain-decisions"),
    path("models/<model:name>/score", batches.Score.as_view(), name="score"),
    path("scoring", batches.Batches.as_view(), name="batches"),
    path("scoring/<uuid:pk>", batches.BatchDetail.as_view(), name="batch"),
    path("scoring/<uuid:pk>/result", batches.BatchResult.as_view(), name="batch-result"),
    path("scoring/<uuid:pk>/cancel", batches.BatchCancel.as_view(), name="batch-cancel"),
    path("monitoring/log-prediction", ingest.PredictionLog.as_view(), name="log-prediction"),
    path("monitoring/log-predictions", ingest.PredictionLogs.as_view(), name="log-predictions"),
    path("monitoring/ground-truth", ingest.GroundTruth.as_view(), name="ground-truth"),
    path("monitoring/run", reports.Run.as_view(), name="run"),
    path("monitoring/reports", reports.Reports.as_view(), name="reports"),
    path("monitoring/reports/<uuid:pk>", reports.ReportDetail.as_view(), name="report"),
    path("monitoring/dashboard/<model:model>", dashboard.DashboardDetail.as_view(), name="dashboard"),
    path("monitoring/skew/<model:model>", skew.SkewDetail.as_view(), name="skew"),
    path("models/<model:name>/alert-rules", alert_rules.Rules.as_view(), name="alert-rules"),
    path("models/<model:name>/alert-rules/<str:rule>", alert_rules.Rule.as_view(), name="alert-rule"),
    path("monitoring/alerts", alerts.Alerts.as_view(), name="alerts"),
    path("monitoring/alerts/counts", alerts.Counts.as_view(), name="alert-counts"),
    path("monitoring/alerts/handle", alerts.Handle.as_view(), name="alerts-handle"),
    path("monitoring/alerts/timeline/<model:model>", alerts.Timeline.as_view(), name="alert-timeline"),
    path("monitoring/alerts/<uuid:pk>", alerts.AlertDetail.as_view(), name="alert"),
    path("monitoring/alerts/<uuid:pk>/assign", alerts.Assign.as_view(), name="alert-assign"),
    path("monitoring/alerts/<uuid:pk>/comment", alerts.Remark.as_view(), name="alert-comment"),
    path("monitoring/alerts/<uuid:pk>/acknowledge", alerts.Acknowledge.as_view(), name="alert-acknowledge"),
    path("monitoring/alerts/<uuid:pk>/resolve", alerts.Resolve.as_view(), name="alert-resolve"),
    path("monitoring/alerts/<uuid:pk>/silence", alerts.SilenceAlert.as_view(), name="alert-silence"),
    path("monitoring/silences", alert_rules.Silences.as_view(), name="silences"),
    path("monitoring/silences/<int:pk>/end", alert_rules.SilenceEnd.as_view(), name="silence-end"),
]
