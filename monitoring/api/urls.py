"""Addresses under /api/v1."""

from __future__ import annotations

from django.urls import path

from monitoring.api import alerts, batches, channels, dashboard, ingest, policies, reports, skew

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
    path("monitoring/channels", channels.Channels.as_view(), name="channels"),
    path("monitoring/channels/<uuid:pk>", channels.ChannelDetail.as_view(), name="channel"),
    path("monitoring/channels/<uuid:pk>/test", channels.Test.as_view(), name="channel-test"),
    path("monitoring/channels/<uuid:pk>/secret", channels.Secret.as_view(), name="channel-secret"),
    path("monitoring/channels/<uuid:pk>/deliveries", channels.ChannelDeliveries.as_view(), name="channel-deliveries"),
    path("monitoring/deliveries", channels.Deliveries.as_view(), name="deliveries"),
    path("monitoring/deliveries/<uuid:pk>", channels.DeliveryDetail.as_view(), name="delivery"),
    path("monitoring/deliveries/<uuid:pk>/redeliver", channels.Redeliver.as_view(), name="delivery-redeliver"),
    path("monitoring/alerts", alerts.Alerts.as_view(), name="alerts"),
    path("monitoring/alerts/<uuid:pk>/acknowledge", alerts.Acknowledge.as_view(), name="alert-acknowledge"),
    path("monitoring/alerts/<uuid:pk>/resolve", alerts.Resolve.as_view(), name="alert-resolve"),
    path("monitoring/alerts/<uuid:pk>/silence", alerts.Silence.as_view(), name="alert-silence"),
]
