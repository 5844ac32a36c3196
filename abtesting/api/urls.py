"""Addresses under /api/v1."""

from __future__ import annotations

from django.urls import path

from abtesting.api import planning, views

app_name = "abtesting"
urlpatterns = [
    path("ab-testing/plan", planning.PlanView.as_view(), name="plan"),
    path("ab-testing/create", views.Create.as_view(), name="create"),
    path("ab-testing", views.Experiments.as_view(), name="experiments"),
    path("ab-testing/<int:test>", views.ExperimentDetail.as_view(), name="experiment"),
    path("ab-testing/<int:test>/split", views.Split.as_view(), name="split"),
    path("ab-testing/<int:test>/stop", views.Stop.as_view(), name="stop"),
    path("ab-testing/<int:test>/assign", views.Assign.as_view(), name="assign"),
    path("ab-testing/results/<int:test>", views.Results.as_view(), name="results"),
    path("ab-testing/conclude/<int:test>", views.Conclude.as_view(), name="conclude"),
]
