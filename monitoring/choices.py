"""The fixed words of monitoring."""

from django.db import models


class PredictionStatus(models.TextChoices):
    OK = "ok", "ok"
    ERROR = "error", "error"
