"""Addresses of the pages of training."""

from django.urls import path

from training.dashboards.datasets import DatasetPage, DatasetsPage, UploadPage
from training.dashboards.records import ComparePage, DatasetFile, FigureFile, NotePage
from training.dashboards.reproductions import ReproducePage, ReproductionCancelPage, ReproductionsPart
from training.dashboards.runs import CancelPage, DiffFile, ProgressPart, RunPage, RunsPage, StartPage

urlpatterns = [
    path("runs/compare", ComparePage.as_view(), name="run_compare"),
    path("runs/figures/<int:pk>", FigureFile.as_view(), name="run_figure"),
    path("runs", RunsPage.as_view(), name="runs"),
    path("new/run", StartPage.as_view(), name="run_new"),
    path("runs/<uuid:job>", RunPage.as_view(), name="run"),
    path("runs/<uuid:job>/progress", ProgressPart.as_view(), name="run_progress"),
    path("runs/<uuid:job>/cancel", CancelPage.as_view(), name="run_cancel"),
    path("runs/<uuid:job>/note", NotePage.as_view(), name="run_note"),
    path("runs/<uuid:job>/diff", DiffFile.as_view(), name="run_diff"),
    path("runs/<uuid:job>/reproduce", ReproducePage.as_view(), name="run_reproduce"),
    path("runs/<uuid:job>/reproductions", ReproductionsPart.as_view(), name="run_reproductions"),
    path("reproductions/<uuid:job>/cancel", ReproductionCancelPage.as_view(), name="reproduction_cancel"),
    path("datasets", DatasetsPage.as_view(), name="datasets"),
    path("new/dataset", UploadPage.as_view(), name="dataset_new"),
    path("datasets/<str:reference>/download", DatasetFile.as_view(), name="dataset_download"),
    path("datasets/<str:reference>", DatasetPage.as_view(), name="dataset"),
]
