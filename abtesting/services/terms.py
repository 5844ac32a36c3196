"""What an experiment is asked, checked: each refusal names the field and the value."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from abtesting.choices import Design
from abtesting.selectors.compared import decidable
from abtesting.stats.assignment import RAMP
from abtesting.stats.guardrails import DEFAULTS, Limits
from abtesting.stats.measures import Costs, chosen
from mlops_site.core.errors import Invalid
from mlops_site.core.texts import unseen
from monitoring.models import Prediction
from monitoring.selectors import basis_of
from registry.artifacts.signature import Signature
from registry.models import Version
from registry.services.guards import one_of, reason_given

MIN_SAMPLES = 100
STEP_HOURS = 24.0
MAX_METRICS, MAX_STEPS, MAX_NAME = 10, 20, 100
MOST = 10**9
LEAST_COST, MOST_COST = 1e-6, 1e12
_LATEST = 1_000  # answers whose slices are looked at


class Extras(TypedDict, total=False):
    """What may be left out."""

    name: str
    margin: float | None
    min_samples: int | None
    guardrails: Mapping[str, Any] | None  # those given stand for the defaults: name -> limits, or null for none
    group_by: str
    costs: Mapping[str, Any] | None
    follow_up_days: int | None
    holdout: float
    steps: Sequence[float] | None
    step_hours: float | None
    planned_labels: int | None
    hypothesis: str


class Terms(Extras, total=False):
    design: str
    traffic_split: float | None  # B's share; of a shadow test the share that B scores as well


class Asked(TypedDict):
    """The columns of an experiment that say what it was asked; `share_b` is that of its first split."""

    design: str
    name: str
    metrics: list[str]
    share_b: float
    margin: float | None
    min_samples: int
    guardrails: dict[str, dict[str, float | None]]
    group_by: str
    costs: dict[str, float] | None
    follow_up_days: int | None
    holdout: float
    steps: list[float]
    step_hours: float | None
    planned_labels: int | None
    hypothesis: str


def checked(version_a: Version, *, metrics: Sequence[str], given: Terms) -> Asked:
    """What was given with its defaults; Invalid names the first field at fault."""
    design = one_of("mode", str(given.get("design", Design.AB)), list(Design.values))
    costs = _costs(given.get("costs"))
    group_by = _group_by(version_a, given.get("group_by", ""))
    steps, hours = _steps(design, given.get("steps"), given.get("step_hours"))
    margin = given.get("margin")
    return Asked(
        design=design,
        name=_name(given.get("name", "")),
        metrics=_metrics(version_a, metrics, design, costs),
        share_b=_first_share(design, given.get("traffic_split"), steps),
        margin=None if margin is None else number("margin", margin, above=0, hint="; leave it out to ask for better"),
        min_samples=whole("min_samples", given.get("min_samples"), low=1, default=MIN_SAMPLES) or MIN_SAMPLES,
        guardrails=_guardrails(given.get("guardrails"), group_by=group_by, costs=costs),
        group_by=group_by,
        costs=costs,
        follow_up_days=whole("follow_up_days", given.get("follow_up_days"), low=0, high=3650),
        holdout=_holdout(given.get("holdout", 0.0)),
        steps=steps,
        step_hours=hours,
        planned_labels=whole("planned_labels", given.get("planned_labels"), low=1),
        hypothesis=reason_given(given.get("hypothesis", ""), field="hypothesis", needed=False),
    )


def share(field: str, value: object, design: str) -> float:
    """B's share, which in an A/B test leaves something to A."""
    if design == Design.AB:
        return number(field, value, above=0, below=1)
    return number(field, value, above=0, most=1)


def number(
    field: str,
    value: object,
    *,
    above: float | None = None,
    least: float | None = None,
    below: float = math.inf,
    most: float = math.inf,
    hint: str = "",
) -> float:
    """A finite number within its bounds, else Invalid."""
    known = isinstance(value, int | float) and not isinstance(value, bool)
    if known and math.isfinite(found := float(value)):  # type: ignore[arg-type]
        low_ok = (above is None or found > above) and (least is None or found >= least)
        if low_ok and found < below and found <= most:
            return found
    bounds = [f"above {above:g}"] if above is not None else [f"at least {least:g}"] if least is not None else []
    bounds += [f"below {below:g}"] if below < math.inf else [f"at most {most:g}"] if most < math.inf else []
    message = f"{field} must be a number {' and '.join(bounds)} but got {value!r:.80}{hint}"
    raise Invalid.on(field, message, code="out_of_range")


def whole(field: str, value: object, *, low: int, high: int = MOST, default: int | None = None) -> int | None:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        message = f"{field} must be a whole number from {low:,} to {high:,} but got {value!r:.80}"
        raise Invalid.on(field, message, code="out_of_range")
    return value


def _name(value: str) -> str:
    name = reason_given(value, field="name", needed=False)
    if len(name) > MAX_NAME or "\n" in name:
        message = f"name must be one line of at most {MAX_NAME} characters but has {len(name)}"
        raise Invalid.on("name", message, code="too_long")
    return name


def _metrics(version: Version, names: Sequence[Any], design: str, costs: dict[str, float] | None) -> list[str]:
    field, given = "success_metrics", [name for name in names if isinstance(name, str)]
    if isinstance(names, str) or not 1 <= len(given) == len(names) <= MAX_METRICS:
        raise Invalid.on(field, f"{field} must be 1 to {MAX_METRICS} names but got {names!r:.200}", code="invalid")
    found = Costs(**costs) if costs else None
    known = decidable(basis_of(version).shape, paired=design == Design.SHADOW, costs=found)
    try:
        chosen(given, known)
    except ValueError as error:
        hint = "; give costs to decide on cost" if "cost" in given and costs is None else ""
        code = "unknown_metric" if set(given) - set(known) else "repeated_metric"
        raise Invalid.on(field, f"{error!s:.400}{hint}", code=code) from error
    return given


def _first_share(design: str, value: object, steps: list[float]) -> float:
    field = "traffic_split"
    if design == Design.RAMP:
        if value is not None and value != steps[0]:
            message = f"{field} of a ramp is its first step, {steps[0]:g}, but got {value!r:.80}; leave it out"
            raise Invalid.on(field, message, code="out_of_range")
        return steps[0]
    if value is None and design == Design.SHADOW:
        return 1.0
    return share(field, value, design)


def _holdout(value: object) -> float:
    return number("holdout", value, least=0, below=1)


def _steps(design: str, steps: object, hours: object) -> tuple[list[float], float | None]:
    if design != Design.RAMP:
        for field, value in (("steps", steps), ("step_hours", hours)):
            if value:
                message = f"{field} belongs to the mode ramp but got {value!r:.80} with {design}"
                raise Invalid.on(field, message, code="not_a_ramp")
        return [], None
    given: Any = RAMP if steps is None else steps
    if not isinstance(given, list | tuple) or not 1 <= len(given) <= MAX_STEPS:
        raise Invalid.on("steps", f"steps must be 1 to {MAX_STEPS} shares but got {steps!r:.200}", code="invalid")
    shares = [share(f"steps[{place}]", value, design) for place, value in enumerate(given)]
    if any(later <= earlier for earlier, later in itertools.pairwise(shares)):
        raise Invalid.on("steps", f"steps must rise but got {shares}", code="not_rising")
    return shares, STEP_HOURS if hours is None else number("step_hours", hours, above=0, most=24 * 365)


def _costs(value: object) -> dict[str, float] | None:
    if value is None:
        return None
    names = list(Costs._fields)
    if not isinstance(value, Mapping) or set(value) != set(names):
        message = f"costs must be an object of {' and '.join(names)} but got {value!r:.200}"
        raise Invalid.on("costs", message, code="invalid")
    costs = {name: number(f"costs.{name}", value[name], least=0, most=MOST_COST) for name in names}
    if any(0 < cost < LEAST_COST for cost in costs.values()) or not any(costs.values()):
        message = f"costs must be 0 or at least {LEAST_COST:g}, and not both 0, but got {costs}"
        raise Invalid.on("costs", message, code="out_of_range")
    return costs


def _group_by(version: Version, name: str) -> str:
    """A feature, or what the callers' rows are sliced by."""
    if not name:
        return ""
    features = Signature.from_json(version.signature).names
    if name in features:
        return name
    latest = Prediction.objects.filter(version=version).order_by("-predicted_at").values_list("slices", flat=True)
    sliced = sorted({key for slices in latest[:_LATEST] for key in slices})
    if name in sliced:
        return name
    known = f"features: {', '.join(features[:50])}; slices: {', '.join(sliced[:50]) or 'none seen'}"
    shown = "a name" if unseen(name) else repr(name[:80])
    message = f"group_by must be a feature or a slice of {version} but got {shown}; {known}"
    raise Invalid.on("group_by", message, code="unknown_feature")


def _guardrails(value: object, *, group_by: str, costs: dict[str, float] | None) -> dict[str, dict[str, float | None]]:
    """All of them, so that what was asked stays the same when a default changes."""
    given = {} if value is None else value
    if not isinstance(given, Mapping):
        raise Invalid.on("guardrails", f"guardrails must be an object but got {value!r:.80}", code="invalid")
    for name in given:
        field = f"guardrails.{name!s:.80}"
        if name not in DEFAULTS:
            message = f"{field} is unknown; known: {', '.join(DEFAULTS)}"
            raise Invalid.on(field, message, code="unknown_guardrail")
        needs = {"fairness_gap": ("group_by", group_by), "cost": ("costs", costs)}.get(name)
        if given[name] is not None and needs and not needs[1]:
            raise Invalid.on(field, f"{field} needs {needs[0]}, which is not given", code=f"needs_{needs[0]}")
    return {name: _limits(name, given[name] if name in given else DEFAULTS[name]._asdict()) for name in DEFAULTS}


def _limits(name: str, value: object) -> dict[str, float | None]:
    field, known = f"guardrails.{name}", list(Limits._fields)
    given = {} if value is None else value
    if not isinstance(given, Mapping) or set(given) - set(known):
        message = f"{field} must be an object of {', '.join(known)}, or null to switch it off, but got {value!r:.200}"
        raise Invalid.on(field, message, code="invalid")
    limits = {key: None if (v := given.get(key)) is None else number(f"{field}.{key}", v, least=0) for key in known}
    rising = [limit for limit in limits.values() if limit is not None]
    if rising != sorted(rising):
        message = f"{field} must rise from warn to roll_back but got {', '.join(f'{limit:g}' for limit in rising)}"
        raise Invalid.on(field, message, code="not_rising")
    return limits
