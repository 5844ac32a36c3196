"""Models in production of which nothing is heard: no predictions, or no report of the schedule."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import NamedTuple

from mlops_site.core import events
from monitoring.choices import UNRESOLVED, NoData, Rule
from monitoring.models import Alert
from monitoring.selectors.rules import RuleInForce, rules_of, rules_of_all
from monitoring.selectors.silent import LAST, Heard, heard_of_all
from monitoring.services.alerts import SYSTEM, Source, close, group_now, raise_one, unresolved
from registry.services.guards import locked

log = logging.getLogger(__name__)
SAID = {
    "predictions": "no predictions have arrived",
    "reports": "the schedule has written no report",
}


class Swept(NamedTuple):
    raised: int
    resolved: int


def watch_silence(now: datetime) -> Swept:
    """Raise what the no-data rules ask for, once, and resolve what is heard of again, is asked no more, or serves no
    more."""
    heard, raised, resolved = heard_of_all(now), 0, 0
    rules = rules_of_all(heard, Rule.NO_DATA)
    opened = Alert.objects.filter(rule=Rule.NO_DATA, status__in=UNRESOLVED)
    open_now = set(opened.values_list("model", "subject_key"))
    for model_id, found in heard.items():
        for subject in LAST:
            is_silent, is_open = _is_silent(rules[model_id], found, subject, now), (model_id, subject) in open_now
            try:
                if is_silent and not is_open:
                    raised += _raise(found, subject, now)
                elif is_open and not is_silent:
                    resolved += _resolve(model_id, subject, f"{subject} arrive again, or are asked for no more")
            except Exception:
                log.exception("the silence of %s could not be judged", found.version)
    for model_id, subject in open_now:
        if model_id not in heard:
            resolved += _resolve(model_id, subject, "the model has nothing in production any more")
    return Swept(raised, resolved)


def _is_silent(rule: RuleInForce, found: Heard, subject: str, now: datetime) -> bool:
    asked = rule.enabled and rule.no_data == NoData.ALERT
    return asked and now - found.last(subject) >= rule.no_data_after


def _raise(found: Heard, subject: str, now: datetime) -> bool:
    """Under the model's lock: of two sweeps one raises, and neither counts up."""
    with locked(found.version.model) as model:
        rules = rules_of(model)
        about = {"model": model, "rule": Rule.NO_DATA, "subject_key": subject, "status__in": UNRESOLVED}
        if Alert.objects.filter(**about).exists() or not _is_silent(rules[Rule.NO_DATA], found, subject, now):
            return False
        last = found.last(subject)
        known = found.predictions if subject == "predictions" else found.reports
        since = "the last at" if known == last else f"{found.version.number} has served since"
        summary = f"{found.version}: {SAID[subject]}; {since} {last:%d %b %Y %H:%M} UTC"
        evidence = {"subject": subject, "since": last.isoformat(), "hours": round((now - last).total_seconds() / 3600)}
        evidence |= {"asked_after_hours": rules[Rule.NO_DATA].no_data_after.total_seconds() / 3600}
        finding = {"rule": Rule.NO_DATA, "subject": subject, "summary": summary, "evidence": evidence}
        raise_one(Source(found.version, None, rules, group_now(found.version)), finding)
    return True


def _resolve(model_id: int, subject: str, why: str) -> int:
    with events.atomic():
        rows = list(unresolved(model=model_id, rule=Rule.NO_DATA, subject_key=subject))
        for row in rows:
            close(row, SYSTEM, f"By itself: {why}.")
    return len(rows)
