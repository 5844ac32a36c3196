"""Addresses of the pages of training."""

from django.urls import path

from training.dashboards.datasets import DatasetPage, DatasetsPage, UploadPage
from training.dashboards.features import DefinePage, FeatureSetPage, FeatureSetsPage, LoadPage, TrainingSetPage
from training.dashboards.reproductions import ReproducePage, ReproductionCancelPage, ReproductionsPart
from training.dashboards.runs import CancelPage, DiffFile, ProgressPart, RunPage, RunsPage, StartPage

urlpatterns = [
    path("runs", RunsPage.as_view(), name="runs"),
    path("new/run", StartPage.as_view(), name="run_new"),
    path("runs/<uuid:job>", RunPage.as_view(), name="run"),
    path("runs/<uuid:job>/progress", ProgressPart.as_view(), name="run_progress"),
    path("runs/<uuid:job>/cancel", CancelPage.as_view(), name="run_cancel"),
    path("runs/<uuid:job>/diff", DiffFile.as_view(), name="run_diff"),
    path("runs/<uuid:job>/reproduce", ReproducePage.as_view(), name="run_reproduce"),
    path("runs/<uuid:job>/reproductions", ReproductionsPart.as_view(), name="run_reproductions"),
    path("reproductions/<uuid:job>/cancel", ReproductionCancelPage.as_view(), name="reproduction_cancel"),
    path("datasets", DatasetsPage.as_view(), name="datasets"),
    path("new/dataset", UploadPage.as_view(), name="dataset_new"),
    path("features", FeatureSetsPage.as_view(), name="feature_sets"),
    path("new/feature-set", DefinePage.as_view(), name="feature_set_new"),
    path("new/training-set", TrainingSetPage.as_view(), name="training_set_new"),
    path("features/<str:reference>", FeatureSetPage.as_view(), name="feature_set"),
    path("features/<str:reference>/load", LoadPage.as_view(), name="feature_load"),
    path("datasets/<str:reference>", DatasetPage.as_view(), name="dataset"),
]
