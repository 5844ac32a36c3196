"""tests.settings for child processes that do an errand and nothing else: without the pages they start at once."""

from tests.settings import *  # noqa: F403

INSTALLED_APPS = ["mlops_site.core", "tests.jobsapp", "django.contrib.auth", "django.contrib.contenttypes"]
