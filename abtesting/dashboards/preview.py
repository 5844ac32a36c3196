"""What an experiment will do, told before it starts."""

from __future__ import annotations

from typing import Any

from abtesting.choices import Design
from abtesting.selectors.planning import Planning
from abtesting.stats.assignment import RAMP
from abtesting.stats.guardrails import DEFAULTS, in_unit
from abtesting.stats.power import Plan
from abtesting.stats.proposal import Option, length_of
from mlops_site.core.templatetags.steward import metric

_HARMS = {
    "error_rate": "B's failed answers are {} points more",
    "latency": "the slowest of B's answers (95th percentile) take {} % longer",
    "override_rate": "people overrule {} points more of its decisions",
    "alert_volume": "its alerts are {} points more",
    "fairness_gap": "its groups are {} points further apart",
    "cost": "a claim costs {} more",
}
_DONE = {"hold": "nothing ships and B's share cannot grow", "roll_back": "it ends by itself"}
_BACK = " and all claims go back to A at once"


def chosen_option(planning: Planning, terms: dict[str, Any]) -> Option | None:
    """The option of the calculator that is the design chosen; None where it cannot judge the metric."""
    own = [option for option in planning.proposal.options if option.plan.design == terms["design"]]
    if terms["design"] == Design.AB:
        own = [option for option in own if option.share_b == terms["traffic_split"]]
    return next(iter(own), None)


def preview(version_a: str, terms: dict[str, Any], option: Option | None) -> list[str]:
    """Sentences, in the order in which it happens."""
    metrics = " and ".join(map(metric, terms["metrics"]))
    first = f"{terms['version_b']} (B) is compared with {version_a} (A), which is in production, on {metrics}."
    parts = [
        first,
        _dealt(terms),
        _held_out(terms["holdout"]),
        *_stops(terms),
        _judged(terms),
        _takes(option.plan if option else None, terms["min_samples"]),
        "You may look, and conclude, at any time: the verdict holds however often somebody looks.",
        "Nothing is promoted by itself: if B should ship, concluding files a request, and approvers decide.",
        "It ends by itself when A leaves production or B leaves staging.",
    ]
    return [part for part in parts if part]


def _dealt(terms: dict[str, Any]) -> str:
    if terms["design"] == Design.SHADOW:
        return (
            "From now on A answers every claim as before. B scores the same claims seconds later; "
            "nobody sees what it says, and no answer becomes slower."
        )
    sticky = "Which units is drawn by hash, so that a unit always meets the same version. Where B fails, A answers."
    if terms["design"] == Design.RAMP:
        steps = [f"{100 * step:g} %" for step in terms["steps"] or RAMP]
        hours = terms["step_hours"] or 24
        held = f"each for at least {hours:g} hours and until no guardrail holds"
        return f"From now on B answers {steps[0]} of the units, then {', '.join(steps[1:])}, {held}. {sticky}"
    return f"From now on B answers {100 * (terms['traffic_split'] or 0):g} % of the units, A the others. {sticky}"


def _held_out(share: float) -> str:
    return f"{100 * share:g} % of the units take no part: A answers them, and they are not counted." if share else ""


def _stops(terms: dict[str, Any]) -> list[str]:
    """By the limits given, or the defaults: what rolls back, and what holds."""
    given, found, is_live = terms["guardrails"] or {}, [], terms["design"] != Design.SHADOW
    needed = {"fairness_gap": terms["group_by"], "cost": terms["costs"], "override_rate": is_live}
    for level in ("roll_back", "hold"):
        harms = []
        for name, words in _HARMS.items():
            watched = needed.get(name, True)
            own = given[name] if name in given else DEFAULTS[name]._asdict()
            limit = (own or {}).get(level) if isinstance(own, dict) else None
            if watched and isinstance(limit, int | float):
                harms.append(words.format(f"{in_unit(name, limit):g}"))
        back = _BACK if level == "roll_back" and is_live else ""
        if harms:
            found.append(f"Once it is certain that {', or '.join(harms)}: {_DONE[level]}{back}.")
    return [*found[:-1], f"{found[-1]} A point is one in a hundred answers."] if found else []


def _judged(terms: dict[str, Any]) -> str:
    if terms["margin"]:
        return (
            f"B ships if it is certainly not worse by {terms['margin']:g} on any of them; A stays if it certainly is."
        )
    if len(terms["metrics"]) == 1:
        return "B ships if it is certainly better; A stays if it is certainly worse; else it stays undecided."
    return "B ships if it is certainly better on one of them and certainly worse on none."


def _takes(plan: Plan | None, least: int | None) -> str:
    floor = f"No verdict comes before {least or 100:,} labels of each version"
    if plan is None:
        return f"{floor}; how many it takes to tell cannot be said before."
    takes = length_of(plan.days) if plan.days is not None else "nobody can say how long, for there is no traffic yet"
    return f"{floor}; {plan.labels:,} labelled claims are planned for ({takes})."
