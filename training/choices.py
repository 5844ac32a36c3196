"""The fixed words of training."""

from django.db import models


class CrossValidation(models.TextChoices):
    STRATIFIED = "stratified", "stratified"
    GROUP = "group", "by group"
    TIME = "time", "by time"
