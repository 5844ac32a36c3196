"""Addresses of monitoring's pages. They come before the registry's, whose versions have addresses of the same form."""

from django.urls import path

from monitoring.dashboards.alerts import AlertPage, AlertsPage
from monitoring.dashboards.model import MonitoringPage
from monitoring.dashboards.policy import RetrainPolicyPage
from monitoring.dashboards.reports import ReportPage, ReportsPage

urlpatterns = [
    path("alerts", AlertsPage.as_view(), name="alerts"),
    path("alerts/<uuid:pk>", AlertPage.as_view(), name="alert"),
    path("reports", ReportsPage.as_view(), name="reports"),
    path("reports/<uuid:pk>", ReportPage.as_view(), name="report"),
    path("models/<str:model>/retraining", RetrainPolicyPage.as_view(), name="retrain_policy"),
    path("models/<str:model>/monitoring", MonitoringPage.as_view(), name="monitoring"),
]
