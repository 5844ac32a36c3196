"""The fixed words of experiments."""

from __future__ import annotations

from django.db import models


class Design(models.TextChoices):
    """How B gets to see claims."""

    AB = "ab", "A/B test"  # units are split; each arm answers its own
    SHADOW = "shadow", "paired shadow test"  # A answers, B scores the same claims silently
    RAMP = "ramp", "ramp"  # an A/B test whose share of B grows in steps


class Status(models.TextChoices):
    RUNNING = "running", "running"
    CONCLUDED = "concluded", "concluded"
    STOPPED = "stopped", "stopped without a verdict"


class Ending(models.TextChoices):
    """Why an experiment runs no more."""

    CONCLUDED = "concluded", "concluded"
    STOPPED = "stopped", "stopped by a person"
    VERSION_LEFT = "version_left", "one of its versions is no longer served as it was"
    GUARDRAIL = "guardrail", "rolled back by a guardrail"
    TRANSFERRED = "transferred", "its model went to another team"


class Arm(models.TextChoices):
    """Whose answers a sum is of; `pairs` are what both said of the same claims, `stray` answers of a version that is
    not its arm's, which count for neither."""

    A = "a", "A"
    B = "b", "B"
    PAIRS = "pairs", "pairs"
    STRAY = "stray", "stray"


class ShadowState(models.TextChoices):
    QUEUED = "queued", "queued"
    SCORED = "scored", "scored"
    FAILED = "failed", "failed"


class Verdict(models.TextChoices):
    SHIP_B = "ship_b", "ship B"
    KEEP_A = "keep_a", "keep A"
    UNDECIDED = "undecided", "undecided"
    BLOCKED = "blocked", "blocked"
