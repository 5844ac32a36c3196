"""Addresses under /api/v1."""

from django.urls import path

from mlops_site.api import inbox, views
from mlops_site.api.explanations import Explanations
from mlops_site.api.model import ModelDetail
from mlops_site.api.predict import predict
from mlops_site.api.retraining import TriggerRetraining
from registry.api import paths

__all__ = ["paths", "urlpatterns"]

app_name = "api"
urlpatterns = [
    path("models/<model:name>", ModelDetail.as_view(), name="model"),
    path("models/<model:name>/predict", predict, name="predict"),
    path("models/<model:name>/<version:version>/explanations", Explanations.as_view(), name="explanations"),
    path("training/trigger-retraining", TriggerRetraining.as_view(), name="trigger-retraining"),
    path("jobs/<uuid:job_id>", views.JobDetail.as_view(), name="job"),
    path("inbox", inbox.Inbox.as_view(), name="inbox"),
    path("inbox/read", inbox.Read.as_view(), name="inbox-read"),
    path("inbox/settings", inbox.Settings.as_view(), name="inbox-settings"),
    path("audit", views.Audit.as_view(), name="audit"),
]
