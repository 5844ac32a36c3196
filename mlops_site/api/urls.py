"""Addresses under /api/v1."""

from django.urls import path

from mlops_site.api import views
from mlops_site.api.predict import predict

app_name = "api"
urlpatterns = [
    path("models/<model:name>/predict", predict, name="predict"),
    path("jobs/<uuid:job_id>", views.JobDetail.as_view(), name="job"),
    path("audit", views.Audit.as_view(), name="audit"),
]
