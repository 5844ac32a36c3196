"""Addresses under /api/v1."""

from django.urls import path

from training.api import records, views

app_name = "training"
urlpatterns = [
    path("datasets", views.Datasets.as_view(), name="datasets"),
    path("datasets/<str:name>/<int:version>", views.DatasetDetail.as_view(), name="dataset"),
    path("training/start", views.Start.as_view(), name="start"),
    path("training/status/<uuid:job_id>", views.Status.as_view(), name="status"),
    path("training/cancel/<uuid:job_id>", views.Cancel.as_view(), name="cancel"),
    path("training/reproduce/<uuid:job_id>", views.Reproduce.as_view(), name="reproduce"),
    path("training/reproductions/<uuid:job_id>", views.ReproductionStatus.as_view(), name="reproduction"),
    path("training/reproductions/<uuid:job_id>/cancel", views.ReproductionCancel.as_view(), name="reproduction_cancel"),
    path("training/runs", views.Runs.as_view(), name="runs"),
    path("datasets/<str:name>/<int:version>/download", records.DatasetFile.as_view(), name="dataset-download"),
    path("training/runs/<uuid:job_id>/notes", records.Notes.as_view(), name="notes"),
    path("training/figures/<int:pk>", records.Figure.as_view(), name="figure"),
    path("training/compare", records.Compare.as_view(), name="compare"),
    path("mlflow", records.Mirror.as_view(), name="mlflow"),
]
