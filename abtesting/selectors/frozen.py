"""Results, and the plain JSON that the API answers and that is frozen at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from abtesting.stats.comparison import Comparison, Unknown
from abtesting.stats.guardrails import Guardrail
from abtesting.stats.srm import SampleRatio
from abtesting.stats.verdict import ALPHA, Verdict
from mlops_site.stats.intervals import holm

_BOUNDS = ("ci95", "bootstrap95", "sequential_ci")


class ArmResult(NamedTuple):
    """`labelled` are the judged answers that `metrics` are of; `unjudged` have a label and cannot be compared with it:
    failed ones, other classes, values beyond 1e70. All else is of all answers."""

    arm: str
    version: str
    units: int
    answers: int
    labelled: int
    errors: int
    metrics: dict[str, float | None]
    p50_ms: float | None
    p95_ms: float | None
    unjudged: int = 0


class EpochRatio(NamedTuple):
    """`ratio` is None where units are not dealt to two arms: in a shadow test, and where B gets all."""

    epoch: int
    share_b: float
    ratio: SampleRatio | None
    in_both: int


class Results(NamedTuple):
    """`pending` rows wait to be folded or scored; `strays` were answered by a version that is not their arm's."""

    as_of: datetime
    arms: list[ArmResult]
    ratios: list[EpochRatio]
    comparisons: list[Comparison | Unknown]
    guardrails: list[Guardrail]
    coverage: float | None
    verdict: Verdict
    pending: int
    strays: int = 0


def as_json(found: Results) -> dict[str, Any]:
    """All of it, so that `from_json` gives the same back."""
    told = [each.ratio for each in found.ratios if each.ratio is not None]
    return {
        "as_of": found.as_of.isoformat(),
        "arms": [arm._asdict() for arm in found.arms],
        "srm": {
            "p_value": min((ratio.p_value for ratio in told), default=None),
            "ok": all(ratio.ok for ratio in told),
            "epochs": [_epoch(each) for each in found.ratios],
        },
        "comparisons": _comparisons(found.comparisons),
        "guardrails": [each._asdict() for each in found.guardrails],
        "coverage": found.coverage,
        "pending": found.pending,
        "strays": found.strays,
        **found.verdict._asdict(),
    }


def from_json(frozen: Mapping[str, Any]) -> Results:
    """The results that `as_json` wrote; whatever else was frozen beside them is left."""
    return Results(
        as_of=datetime.fromisoformat(frozen["as_of"]),
        arms=[ArmResult(**{name: own[name] for name in ArmResult._fields if name in own}) for own in frozen["arms"]],
        ratios=[_ratio(own) for own in frozen["srm"]["epochs"]],
        comparisons=[_comparison(own) for own in frozen["comparisons"]],
        guardrails=[Guardrail(**{name: own[name] for name in Guardrail._fields}) for own in frozen["guardrails"]],
        coverage=frozen["coverage"],
        verdict=Verdict(frozen["verdict"], frozen["reason"], frozen["samples_needed"]),
        pending=frozen["pending"],
        strays=frozen["strays"],
    )


def said_of(found: Sequence[Comparison | Unknown]) -> list[str]:
    """Of each metric by itself: better, worse, undecided or unknown, by Holm over all of them. Whether B ships is for
    the verdict to say."""
    known = [each.sequential_p if isinstance(each, Comparison) else 1.0 for each in found]
    adjusted: Sequence[float] = holm(known).tolist() if known else []
    return [_said(each, p) for each, p in zip(found, adjusted, strict=True)]


def _said(found: Comparison | Unknown, adjusted: float) -> str:
    if isinstance(found, Unknown):
        return "unknown"
    if adjusted > ALPHA:
        return "undecided"
    return "better" if found.gain > 0 else "worse"


def _comparisons(found: Sequence[Comparison | Unknown]) -> list[dict[str, Any]]:
    return [{**_fields(each), "verdict": said} for each, said in zip(found, said_of(found), strict=True)]


def _fields(found: Comparison | Unknown) -> dict[str, Any]:
    if isinstance(found, Unknown):
        return {**dict.fromkeys(Comparison._fields), "metric": found.metric, "note": found.why}
    told = found._asdict()
    bounds = {name: told[name] and list(told[name]) for name in _BOUNDS}
    return {**told, **bounds, "note": found.test}


def _comparison(own: Mapping[str, Any]) -> Comparison | Unknown:
    if own["difference"] is None:
        return Unknown(own["metric"], own["note"])
    said = {"bootstrap95": None, **own}  # what was frozen before the bootstrap is read for as long as it is kept
    bounds = {name: said[name] and tuple(said[name]) for name in _BOUNDS}
    return Comparison(**{**{name: said[name] for name in Comparison._fields}, **bounds})


def _epoch(each: EpochRatio) -> dict[str, Any]:
    about = {"epoch": each.epoch, "share_b": each.share_b, "in_both": each.in_both}
    return {**about, "ratio": None if each.ratio is None else each.ratio._asdict()}


def _ratio(own: Mapping[str, Any]) -> EpochRatio:
    ratio = None if own["ratio"] is None else SampleRatio(**own["ratio"])
    return EpochRatio(own["epoch"], own["share_b"], ratio, own["in_both"])
