"""Addresses of the pages of training."""

from django.urls import path

from training.dashboards.comparisons import CompareByWorkerPage, ComparisonCancelPage, ComparisonPart, DifferencePage
from training.dashboards.datasets import DatasetPage, DatasetsPage, RegisterPage, UploadPage
from training.dashboards.features import DefinePage, FeatureSetPage, FeatureSetsPage, LoadPage, TrainingSetPage
from training.dashboards.keeping import ErasePage, KeepingPage
from training.dashboards.quality import (
    CheckPage,
    EditPage,
    ExpectationsPage,
    GatesPage,
    InferPage,
    RevokePage,
    WaivePage,
)
from training.dashboards.records import ComparePage, DatasetFile, FigureFile, NotePage
from training.dashboards.reproductions import ReproducePage, ReproductionCancelPage, ReproductionsPart
from training.dashboards.runs import CancelPage, DiffFile, ProgressPart, RunPage, RunsPage, StartPage
from training.dashboards.sources import FetchPage, SourceEditPage, SourceNewPage, SourcePage, SourcesPage

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
    path("new/registered", RegisterPage.as_view(), name="dataset_register"),
    path("datasets/<str:reference>/diff", DifferencePage.as_view(), name="dataset_diff"),
    path("datasets/<str:reference>/compare", CompareByWorkerPage.as_view(), name="dataset_compare"),
    path("comparisons/<uuid:job>/progress", ComparisonPart.as_view(), name="comparison_progress"),
    path("comparisons/<uuid:job>/cancel", ComparisonCancelPage.as_view(), name="comparison_cancel"),
    path("datasets/<str:reference>/erase", ErasePage.as_view(), name="dataset_erase"),
    path("datasets/<str:name>/keeping", KeepingPage.as_view(), name="dataset_keeping"),
    path("sources", SourcesPage.as_view(), name="sources"),
    path("new/source", SourceNewPage.as_view(), name="source_new"),
    path("sources/<str:name>", SourcePage.as_view(), name="source"),
    path("sources/<str:name>/edit", SourceEditPage.as_view(), name="source_edit"),
    path("sources/<str:name>/fetch", FetchPage.as_view(), name="source_fetch"),
    path("features", FeatureSetsPage.as_view(), name="feature_sets"),
    path("new/feature-set", DefinePage.as_view(), name="feature_set_new"),
    path("new/training-set", TrainingSetPage.as_view(), name="training_set_new"),
    path("features/<str:reference>", FeatureSetPage.as_view(), name="feature_set"),
    path("features/<str:reference>/load", LoadPage.as_view(), name="feature_load"),
    path("datasets/<str:reference>/download", DatasetFile.as_view(), name="dataset_download"),
    path("datasets/<str:reference>", DatasetPage.as_view(), name="dataset"),
    path("datasets/<str:reference>/gates", GatesPage.as_view(), name="dataset_gates"),
    path("datasets/<str:reference>/check", CheckPage.as_view(), name="dataset_check"),
    path("expectations/<str:name>", ExpectationsPage.as_view(), name="expectations"),
    path("expectations/<str:name>/infer", InferPage.as_view(), name="expectations_infer"),
    path("expectations/<str:name>/edit", EditPage.as_view(), name="expectations_edit"),
    path("expectations/<str:name>/waive", WaivePage.as_view(), name="waiver_new"),
    path("waivers/<int:pk>/revoke", RevokePage.as_view(), name="waiver_revoke"),
]
