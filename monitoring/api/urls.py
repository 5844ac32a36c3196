"""Addresses under /api/v1."""

from __future__ import annotations

from django.urls import path

from monitoring.api import alerts, batches, dashboard, exports, ingest, policies, reports, skew

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
    path("monitoring/reports/<uuid:pk>/report.html", exports.ReportFile.as_view(), name="report-file"),
    path("monitoring/dashboard/<model:model>/report.html", exports.DashboardFile.as_view(), name="dashboard-file"),
    path("monitoring/dashboard/<model:model>/figures/<str:figure>.csv", exports.FigureSheet.as_view(), name="figure"),
    path("monitoring/skew/<model:model>", skew.SkewDetail.as_view(), name="skew"),
    path("monitoring/alerts", alerts.Alerts.as_view(), name="alerts"),
    path("monitoring/alerts/<uuid:pk>/acknowledge", alerts.Acknowledge.as_view(), name="alert-acknowledge"),
    path("monitoring/alerts/<uuid:pk>/resolve", alerts.Resolve.as_view(), name="alert-resolve"),
    path("monitoring/alerts/<uuid:pk>/silence", alerts.Silence.as_view(), name="alert-silence"),
]
