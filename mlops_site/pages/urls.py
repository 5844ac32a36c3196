"""Addresses of all pages. The admin's own indexes lead home: there is one navigation."""

from django.urls import include, path, re_path
from django.views.generic import RedirectView

from mlops_site.pages.explanations import ExplanationsPage
from mlops_site.pages.home import HomePage
from mlops_site.pages.inbox import InboxPage, InboxSettingsPage
from mlops_site.pages.model import ModelPage
from mlops_site.pages.prediction import FindPage, PredictionPage
from mlops_site.pages.timeline import TimelinePage

urlpatterns = [
    path("", HomePage.as_view(), name="home"),
    re_path(
        r"^admin/(?:(?:core|registry|training|monitoring|abtesting|django_celery_beat)/)?$",
        RedirectView.as_view(pattern_name="home"),
    ),
    path("models/<str:model>", ModelPage.as_view(), name="model"),
    path("models/<str:model>/timeline", TimelinePage.as_view(), name="timeline"),
    path("models/<str:model>/<str:number>/explanations", ExplanationsPage.as_view(), name="explanations"),
    path("inbox", InboxPage.as_view(), name="inbox"),
    path("inbox/settings", InboxSettingsPage.as_view(), name="inbox_settings"),
    path("predictions", FindPage.as_view(), name="predictions"),
    path("predictions/<uuid:pk>", PredictionPage.as_view(), name="prediction"),
    path("", include("abtesting.urls")),
    path("", include("monitoring.urls")),
    path("", include("registry.urls")),
    path("", include("training.urls")),
]
