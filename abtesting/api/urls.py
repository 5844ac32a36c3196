"""Addresses under /api/v1."""

from __future__ import annotations

from django.urls import path

from abtesting.api import planning

app_name = "abtesting"
urlpatterns = [
    path("ab-testing/plan", planning.PlanView.as_view(), name="plan"),
]
