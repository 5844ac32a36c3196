"""All addresses of the site."""

from django.contrib import admin
from django.contrib.auth.decorators import login_required
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from mlops_site.api import health, metrics

handler400 = "mlops_site.api.errors.bad_request"
handler403 = "mlops_site.api.errors.forbidden"
handler404 = "mlops_site.api.errors.not_found"
handler500 = "mlops_site.api.errors.failed"
urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/", include("mlops_site.api.urls")),  # first: each address before the one asked for is tried
    path("api/v1/", include("registry.api.urls")),
    path("api/v1/", include("training.api.urls")),
    path("api/v1/", include("monitoring.api.urls")),
    path("api/v1/", include("abtesting.api.urls")),
    path("api/schema", SpectacularAPIView.as_view(), name="api-schema"),
    path("docs", login_required(SpectacularSwaggerSplitView.as_view(url_name="api-schema")), name="docs"),
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics.metrics, name="metrics"),
    path("", include("mlops_site.pages.urls")),
    path("admin/", admin.site.urls),
]
