"""Addresses of the pages of experiments."""

from django.urls import path

from abtesting.dashboards import creation, experiments

urlpatterns = [
    path("experiments", experiments.ExperimentsPage.as_view(), name="experiments"),
    path("experiments/new", creation.ChoosePage.as_view(), name="experiment_choose"),
    path("experiments/<int:pk>", experiments.ExperimentPage.as_view(), name="experiment"),
    path("experiments/<int:pk>/live", experiments.ExperimentLivePart.as_view(), name="experiment_live"),
    path("experiments/<int:pk>/split", experiments.SplitPage.as_view(), name="experiment_split"),
    path("experiments/<int:pk>/stop", experiments.StopPage.as_view(), name="experiment_stop"),
    path("experiments/<int:pk>/conclude", experiments.ConcludePage.as_view(), name="experiment_conclude"),
    path("experiments/new/<str:model>", creation.NewExperimentPage.as_view(), name="experiment_new"),
]
