"""The app of the tests' own job."""

from django.apps import AppConfig


class JobsAppConfig(AppConfig):
    name = "tests.jobsapp"
