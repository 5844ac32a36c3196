"""What is kept of a winner: its files, its signature, golden rows, the holdout and the profile of its training."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mlops_site.stats.correlations import of_frame
from mlops_site.stats.heldout import HeldOut
from mlops_site.stats.losses import Losses
from mlops_site.stats.profile import Bins, Profile, profile, reference_bins
from mlops_site.stats.scored import ScoredRows
from registry.artifacts import formats, graphs, scorer, signature
from registry.artifacts.engines import Scorer, open_scorer
from registry.artifacts.summary import told
from registry.services import Candidate
from training.ml import evaluate, fairness, large, slices
from training.ml.decisions import BEST_F1
from training.ml.estimators import device
from training.ml.parted import Parted
from training.models import Run
from training.pipeline.data import Rows
from training.pipeline.selection import rule_of
from training.selectors.quality import told as told_of_gates
from training.selectors.quality import verdicts_of
from training.services.spec import WHERE

GOLDEN_ROWS = 20
PROVING_ROWS = 500  # on which the ONNX form must be exact
SLICE_LEVELS = 20  # a feature with at most so many values makes slices


class Winner(NamedTuple):
    """The best model type, refitted on the training part, with what the holdout says of it."""

    model_type: str
    params: dict[str, Any]
    pipeline: Any
    threshold: float | None
    report: evaluate.HoldoutReport
    calibrated: dict[str, Any] | None = None


class Files(NamedTuple):
    """The artifact (skops), its ONNX form or the reason why there is none, what it expects, and its golden rows."""

    skops: bytes
    onnx: bytes | None
    reason: str
    signature: signature.Signature
    golden: list[dict[str, Any]]


def files_of(winner: Winner, rows: Rows, run: Run) -> Files:
    """Both forms of the model. The ONNX one is kept only where it answers the same."""
    model = winner.pipeline[-1]
    if hasattr(model, "n_jobs"):
        model.set_params(n_jobs=None)  # else the artifact would tell how many cores this machine has
    described = signature.infer(
        rows.told,  # what the data set had is asked for, not half of it
        rows.kinds,
        task_type=rows.task_type,
        target=rows.training.truth.tolist() if rows.classes else None,
        positive_class=run.spec["positive_class"],
    )
    converted = graphs.to_onnx(winner.pipeline, rows.kinds)
    graph, reason = converted.graph, converted.reason
    if graph and not graphs.exact(graph, winner.pipeline, rows.holdout.frame.head(PROVING_ROWS)):
        graph, reason = None, "its ONNX form does not answer the same"
    artifact = formats.dump_skops(winner.pipeline)
    return Files(artifact, graph, reason, described, _golden(winner, rows, open_scorer(artifact, "skops", described)))


def candidate_of(run: Run, winner: Winner, rows: Rows, files: Files) -> Candidate:
    """Everything that the registry keeps of the run's version."""
    reference = _reference(run, rows)
    return Candidate(
        artifact_bytes=files.skops,
        format="skops",
        signature=files.signature.to_json(),
        onnx_bytes=files.onnx,
        holdout_bytes=holdout_of(winner, rows),
        held_out=held_out_of(winner, rows, reference.bins),
        metrics=metrics_of(winner.report),
        params={"model_type": winner.model_type, **winner.params},
        config={name: value for name, value in run.spec.items() if name not in WHERE},
        data_digest=run.dataset.digest,
        golden=files.golden,
        reference=reference.to_bytes(),
        **told(files.skops, "skops", files.signature, rows.sample)._asdict(),
        importance=winner.report.importance,
        threshold=0.5 if winner.threshold is None else winner.threshold,
        lineage={
            "run": str(run.pk),
            "dataset": str(run.dataset),
            "code": run.code,
            "lock": run.lock_digest,
            "seed": run.seed,
            "trigger_reason": run.trigger_reason,
            **({"trigger": run.trigger} if run.trigger else {}),
        },
        feature_sets=tuple(run.spec.get("feature_sets", ())),
        facts=facts_of(run, winner, rows),
    )


def metrics_of(report: evaluate.HoldoutReport) -> dict[str, dict[str, Any]]:
    """The holdout's metrics as the registry keeps them."""
    return {
        name: {"value": found["estimate"], "ci95": [found["lower"], found["upper"]]}
        for name, found in report.metrics.items()
    }


def facts_of(run: Run, winner: Winner, rows: Rows) -> dict[str, Any]:
    """What the run knows and the card shows: the data that was used, how the winner was found, metrics by slice."""
    spec, declared = run.spec, run.dataset
    column = declared.time_column
    period = None if rows.period is None else {"column": column, "from": rows.period[0], "to": rows.period[1]}
    gated = told_of_gates(verdicts_of(run))
    names = ("model_types", "metric", "n_trials", "hyperparameter_optimization", "cv", "cv_folds")
    said = evaluate.predicted(winner.pipeline, rows.holdout.frame, rows.classes)
    judged = evaluate.judged(said, rows.holdout.truth, rows.classes, threshold=winner.threshold)
    return {
        "data": {
            "rows": len(rows.training) + len(rows.holdout),
            "training_rows": len(rows.training),
            "holdout_rows": len(rows.holdout),
            "holdout_groups": winner.report.groups,
            "features": len(spec["features"]),
            "target": spec["target"],
            "period": period,
            "quality": gated["quality"],
        },
        **({"waived": gated["waived"]} if gated["waived"] else {}),
        "search": {name: spec[name] for name in names} | _device(winner),
        "slices": slices.by_slice(
            spec["metric"], judged, few_valued(rows.holdout.frame), groups=rows.holdout.groups, seed=run.seed
        ),
        "calibration": winner.report.calibration,
        "correlations": of_frame(rows.sample, rows.kinds).to_json(),
        **_decision(run, winner, said, rows),
        **({"groups": _groups(run, judged, rows)} if run.spec.get("slices") else {}),
        **({"calibrated": winner.calibrated} if winner.calibrated else {}),
        **({"nested": run.nested} if run.nested else {}),
        **(
            {"actual_to_expected": evaluate.actual_to_expected(said, rows.holdout.truth)}
            if rows.classes is None
            else {}
        ),
    }


def _groups(run: Run, judged: ScoredRows, rows: Rows) -> dict[str, Any]:
    return fairness.by_group(judged, {name: rows.holdout_table[name] for name in run.spec["slices"]})


def _decision(run: Run, winner: Winner, said: Any, rows: Rows) -> dict[str, Any]:
    """What the threshold means on the holdout, where it was chosen by cost or by capacity."""
    rule = rule_of(run.spec)
    if rule == BEST_F1 or winner.threshold is None or rows.classes is None:
        return {}
    return {"decision": rule.told(said, rows.holdout.truth == rows.classes[1], winner.threshold)}


def _device(winner: Winner) -> dict[str, str]:
    found = device(winner.model_type)
    return {"device": found[0]} if found else {}


def few_valued(frame: pd.DataFrame) -> Mapping[str, Any]:
    """The features with few values: their slices are looked at by themselves."""
    few = [name for name in frame.columns if 2 <= frame[name].nunique(dropna=False) <= SLICE_LEVELS]
    return {str(name): frame[name].to_numpy() for name in few}


def holdout_of(winner: Winner, rows: Rows) -> bytes:
    """Parquet of row_key, label, and score (two classes) or prediction, for paired comparisons."""
    said = evaluate.predicted(winner.pipeline, rows.holdout.frame, rows.classes)
    columns: dict[str, Any] = {"row_key": rows.holdout.keys, "label": rows.holdout.truth}
    if rows.classes is not None and said.ndim == 2:
        columns["prediction"] = np.array(rows.classes)[said.argmax(axis=1)]
    else:
        columns["prediction" if rows.classes is None else "score"] = said
    sink = io.BytesIO()
    pd.DataFrame(columns).to_parquet(sink, index=False)
    return sink.getvalue()


def held_out_of(winner: Winner, rows: Rows, bins: Bins) -> bytes | None:
    """What performance without labels is estimated by: the holdout's scores, counted, of two classes; else a model of
    its losses. Its groups make the estimate's band wider."""
    said, held = evaluate.predicted(winner.pipeline, rows.holdout.frame, rows.classes), rows.holdout
    if rows.classes is not None and len(rows.classes) == 2:
        threshold = 0.5 if winner.threshold is None else winner.threshold
        return HeldOut.of(said, held.truth == rows.classes[1], threshold, groups=held.groups).to_bytes()
    if rows.classes is None:
        missed = np.abs(said - held.truth)
        losses, answers = {"mae": missed, "rmse": np.square(missed)}, said
    else:
        losses, answers = {"accuracy": (np.array(rows.classes)[said.argmax(axis=1)] != held.truth) * 1.0}, None
    found = Losses.fit(held.frame, losses, bins, said=answers, groups=held.groups)
    return None if found is None else found.to_bytes()


def _golden(winner: Winner, rows: Rows, answering: Scorer) -> list[dict[str, Any]]:
    """Real rows from the lowest to the highest answer, and what the artifact answers to them."""
    said = evaluate.predicted(winner.pipeline, rows.sample, rows.classes)
    order = np.argsort(said if said.ndim == 1 else said.max(axis=1), kind="stable")
    picked = np.unique(np.linspace(0, len(order) - 1, GOLDEN_ROWS).round().astype(int))
    asked = [_features(row) for row in rows.sample.iloc[order[picked]].to_dict("records")]
    return scorer.golden(answering, asked)


def _features(row: dict[Any, Any]) -> dict[str, Any]:
    """A canonical row as a caller would send it: missing values are null."""
    return {str(name): None if value == "" or value != value else value for name, value in row.items()}


def _reference(run: Run, rows: Rows) -> Profile:
    """The profile of the training rows, on bins of their own."""
    frame, salt = rows.training.frame, run.model.name
    if isinstance(frame, Parted):
        return large.profile_of_parts(
            lambda names: frame.narrowed(names).parts(), rows.kinds, frame.executor, salt=salt
        )
    return profile(frame, reference_bins(frame, rows.kinds, salt=salt))
