"""Addresses under /api/v1."""

from django.urls import path

from training.api import features, keeping, quality, records, sources, views

app_name = "training"
urlpatterns = [
    path("datasets", views.Datasets.as_view(), name="datasets"),
    path("datasets/<str:name>/<int:version>", views.DatasetDetail.as_view(), name="dataset"),
    path("datasets/register", keeping.Register.as_view(), name="register"),
    path("datasets/<str:name>/keeping", keeping.Keeping.as_view(), name="keeping"),
    path("datasets/<str:name>/<int:version>/erase", keeping.Erase.as_view(), name="erase"),
    path("datasets/<str:name>/<int:version>/profile", keeping.Profile.as_view(), name="profile"),
    path("datasets/<str:name>/<int:version>/lineage", keeping.Lineage.as_view(), name="lineage"),
    path("datasets/<str:name>/<int:v1>/diff/<int:v2>", keeping.Diff.as_view(), name="diff"),
    path("comparisons/<uuid:job_id>", keeping.ComparisonDetail.as_view(), name="comparison"),
    path("comparisons/<uuid:job_id>/cancel", keeping.ComparisonCancel.as_view(), name="comparison_cancel"),
    path("models/<model:name>/<version:version>/lineage", keeping.VersionLineage.as_view(), name="version-lineage"),
    path("sources", sources.Sources.as_view(), name="sources"),
    path("sources/<str:name>", sources.SourceDetail.as_view(), name="source"),
    path("sources/<str:name>/fetches", sources.Fetches.as_view(), name="fetches"),
    path("fetches/<uuid:job_id>", sources.FetchDetail.as_view(), name="fetch"),
    path("fetches/<uuid:job_id>/cancel", sources.FetchCancel.as_view(), name="fetch_cancel"),
    path("datasets/<str:name>/<int:version>/gates", quality.Gates.as_view(), name="gates"),
    path("datasets/<str:name>/expectations", quality.ExpectationsOf.as_view(), name="expectations"),
    path("datasets/<str:name>/expectations/infer", quality.Inferred.as_view(), name="expectations_infer"),
    path("datasets/<str:name>/waivers", quality.Waivers.as_view(), name="waivers"),
    path("waivers/<int:pk>/revoke", quality.Revoke.as_view(), name="waiver_revoke"),
    path("training/gates/<uuid:job_id>", quality.GatesOfRun.as_view(), name="run_gates"),
    path("feature-sets", features.FeatureSets.as_view(), name="feature-sets"),
    path("feature-sets/<str:reference>", features.FeatureSetDetail.as_view(), name="feature-set"),
    path("feature-sets/<str:reference>/values", features.FeatureValues.as_view(), name="feature-values"),
    path("feature-sets/<str:reference>/load", features.FeatureTable.as_view(), name="feature-table"),
    path("training-sets", features.TrainingSets.as_view(), name="training-sets"),
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
