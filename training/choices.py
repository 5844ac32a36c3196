"""The fixed words of training."""

from django.db import models


class Calibration(models.TextChoices):
    AUTO = "auto", "what helps more"
    SIGMOID = "sigmoid", "sigmoid, if it helps"
    ISOTONIC = "isotonic", "isotonic, if it helps"


class CrossValidation(models.TextChoices):
    STRATIFIED = "stratified", "stratified"
    GROUP = "group", "by group"
    TIME = "time", "by time"
