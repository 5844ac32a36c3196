"""Addresses under /api/v1."""

from __future__ import annotations

from django.urls import path

from monitoring.api import alerts

app_name = "monitoring"
urlpatterns = [
    path("monitoring/alerts", alerts.Alerts.as_view(), name="alerts"),
    path("monitoring/alerts/<uuid:pk>/acknowledge", alerts.Acknowledge.as_view(), name="alert-acknowledge"),
    path("monitoring/alerts/<uuid:pk>/resolve", alerts.Resolve.as_view(), name="alert-resolve"),
    path("monitoring/alerts/<uuid:pk>/silence", alerts.Silence.as_view(), name="alert-silence"),
]
