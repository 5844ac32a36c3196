"""All addresses of the site."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/", include("registry.api.urls")),
    path("", include("mlops_site.pages.urls")),
    path("admin/", admin.site.urls),
]
