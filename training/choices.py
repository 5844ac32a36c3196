"""The fixed words of training."""

from django.db import models


class Calibration(models.TextChoices):
    AUTO = "auto", "what helps more"
    SIGMOID = "sigmoid", "sigmoid, if it helps"
    ISOTONIC = "isotonic", "isotonic, if it helps"


class Need(models.TextChoices):
    """What the gate asks of a candidate beside the version in production."""

    NON_INFERIOR = "non_inferior", "no worse, by less than the margin"
    SUPERIOR = "superior", "better"


class CrossValidation(models.TextChoices):
    STRATIFIED = "stratified", "stratified"
    GROUP = "group", "by group"
    TIME = "time", "by time"
    GROUP_TIME = "group_time", "by time, groups apart"


class SourceKind(models.TextChoices):
    FOLDER = "folder", "a folder"
    S3 = "s3", "objects in a bucket"
    SQL = "sql", "a query"


class Takes(models.TextChoices):
    """What of the files of a source makes a version, once one of them is new or has changed."""

    NEWEST = "newest", "the newest file"
    ALL = "all", "all files, one after the other"


class Stage(models.TextChoices):
    """Where a quality gate stands."""

    INGEST = "ingest", "ingest"
    TRAINING = "training", "before training"
    REGISTRATION = "registration", "before registration"
