"""The fixed words of monitoring."""

from __future__ import annotations

from datetime import timedelta

from django.db import models


class PredictionStatus(models.TextChoices):
    OK = "ok", "ok"
    ERROR = "error", "error"


class Source(models.TextChoices):
    SERVED = "served", "served here"
    LOGGED = "logged", "logged by the caller"


class SliceSource(models.TextChoices):
    """Where the value comes from by which answers are told apart."""

    SLICE = "slice", "slices of the answer"
    FEATURE = "feature", "feature"


class FoldKind(models.TextChoices):
    PREDICTION = "prediction", "prediction"
    LABEL = "label", "label"


class Span(models.IntegerChoices):
    """Length of a bucket in seconds. Time zone traps: buckets start at whole multiples since 1970, in UTC."""

    MINUTES = 300, "5 minutes"
    HOUR = 3600, "hour"
    DAY = 86_400, "day"


class Occasion(models.TextChoices):
    """Why a report was made that nobody asked for. One in time looks again at the window that is not over."""

    SCHEDULE = "schedule", "on schedule"
    IN_TIME = "in_time", "enough new rows"
    BACKFILL = "backfill", "afterwards"


class Severity(models.TextChoices):
    CRITICAL = "critical", "critical"
    HIGH = "high", "high"
    MEDIUM = "medium", "medium"
    LOW = "low", "low"


class Rule(models.TextChoices):
    """What an alert is about; each has one severity."""

    PERFORMANCE = "performance", "performance below threshold"
    ESTIMATE = "estimate", "estimated performance"
    DRIFT = "drift", "data drift"
    QUALITY = "quality", "data quality"
    VOLUME = "volume", "prediction volume"
    REVALIDATION = "revalidation", "revalidation due"
    EXPERIMENT = "experiment", "experiment"
    FAIRNESS = "fairness", "gap between slices"
    NO_DATA = "no_data", "no data"


# raised by something else than a report on a window
EVENTS = (Rule.REVALIDATION, Rule.EXPERIMENT, Rule.NO_DATA)

SEVERITY_OF = {
    Rule.PERFORMANCE: Severity.CRITICAL,
    Rule.ESTIMATE: Severity.HIGH,
    Rule.DRIFT: Severity.HIGH,
    Rule.QUALITY: Severity.MEDIUM,
    Rule.VOLUME: Severity.LOW,
    Rule.REVALIDATION: Severity.HIGH,
    Rule.EXPERIMENT: Severity.HIGH,
    Rule.FAIRNESS: Severity.HIGH,
    Rule.NO_DATA: Severity.MEDIUM,
}


class NoData(models.TextChoices):
    """What becomes of a model's alerts while nothing can be judged."""

    ALERT = "alert", "raise an alert; what is open stays open"
    KEEP = "keep", "raise nothing; what is open stays open"
    IGNORE = "ignore", "raise nothing; a report that cannot judge counts as clean"


class AlertStatus(models.TextChoices):
    OPEN = "open", "open"
    ACKNOWLEDGED = "acknowledged", "acknowledged"
    RESOLVED = "resolved", "resolved"


class AlertEvent(models.TextChoices):
    """What channels are told of an alert: the second word of its event, as in "alert.raised"."""

    RAISED = "raised", "raised"
    ACKNOWLEDGED = "acknowledged", "acknowledged"
    ASSIGNED = "assigned", "assigned"
    ESCALATED = "escalated", "escalated"
    RESOLVED = "resolved", "resolved"


USUAL_EVENTS = (AlertEvent.RAISED, AlertEvent.ASSIGNED, AlertEvent.ESCALATED, AlertEvent.RESOLVED)


class ChannelKind(models.TextChoices):
    """Each has its module in monitoring.channels, of the same name."""

    WEBHOOK = "webhook", "signed webhook"
    SLACK = "slack", "Slack"
    TEAMS = "teams", "Microsoft Teams"
    MAIL = "mail", "e-mail"
    INBOX = "inbox", "inbox of people"
    APPRISE = "apprise", "Apprise"


class Digest(models.TextChoices):
    NONE = "none", "at once"
    HOURLY = "hourly", "hourly digest"
    DAILY = "daily", "daily digest, at 8:00"


UNRESOLVED = (AlertStatus.OPEN, AlertStatus.ACKNOWLEDGED)


class Trigger(models.TextChoices):
    """Why a model is trained again; the seed's names."""

    PERFORMANCE_DEGRADATION = "performance_degradation", "performance degradation"
    DATA_DRIFT_SCORE = "data_drift_score", "data drift score"
    PREDICTION_VOLUME_DROP = "prediction_volume_drop", "prediction volume drop"
    SCHEDULED_INTERVAL = "scheduled_interval", "scheduled interval"
    MANUAL = "manual", "asked for"


class Outcome(models.TextChoices):
    """What came of a reason to train again."""

    TAKEN = "taken", "retraining started"
    COOLING_DOWN = "cooling_down", "cooling down"
    ALREADY_RUNNING = "already_running", "already running"
    BUDGET_SPENT = "budget_spent", "daily budget spent"
    NOT_ENOUGH_LABELS = "not_enough_labels", "not enough labels"
    REFUSED = "refused", "refused"


DAY = timedelta(days=1)
WEEK = timedelta(days=7)
