"""The gate of a run: the winner against the version in production, both on the rows that this run holds out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from mlops_site.core import store
from mlops_site.core.errors import StewardError, Unavailable
from mlops_site.stats.columns import encode
from mlops_site.stats.scored import Floats, ScoredRows
from registry.artifacts import formats, scorer
from registry.choices import ArtifactFormat
from registry.models import Version
from training.ml import evaluate, gate
from training.models import Run
from training.pipeline.data import Rows
from training.pipeline.evidence import Winner, few_valued


def judged(run: Run, winner: Winner, rows: Rows, serving: Version | None) -> dict[str, Any]:
    """The verdict as JSON: "passed", the checks, the policy, and which version was the champion (or null)."""
    spec = run.spec
    policy = gate.Policy(
        spec["metric"],
        threshold=spec["auto_deploy_threshold"],
        need=spec.get("need", "non_inferior"),
        margin=spec["margin"],
        seed=run.seed,
    )
    said = evaluate.predicted(winner.pipeline, rows.holdout.frame, rows.classes)
    challenger = evaluate.judged(said, rows.holdout.truth, rows.classes, threshold=winner.threshold)
    champion, problem = (None, "") if serving is None else _scored(serving, rows)
    found = gate.judge(
        challenger, champion=champion, policy=policy, groups=rows.holdout.groups, slices=few_valued(rows.holdout.frame)
    )
    if problem:  # a champion that cannot be compared with is no reason to pass
        failed = gate.Check("comparison", "fail", f"Cannot be compared with the champion: {problem}.")
        found = replace(found, checks=tuple(failed if c.name == "comparison" else c for c in found.checks))
    return {**found.to_json(), "champion": None if serving is None else serving.number}


def _scored(version: Version, rows: Rows) -> tuple[ScoredRows | None, str]:
    """What the version says of the holdout, with its own features and threshold; or why it cannot."""
    signature, truth = version.signature, rows.holdout.truth
    if set(signature["classes"] or ()) != set(rows.classes or ()):
        return None, f"{version.number} tells the classes {signature['classes']} apart"
    try:
        kinds = {column["name"]: column["kind"] for column in signature["inputs"]}
        said, threshold = _answers(version, encode(rows.holdout_table, kinds), rows.classes)
        return evaluate.judged(said, truth, rows.classes, threshold=threshold), ""
    except Unavailable:  # the run waits and tries again: without its rival a candidate would win
        raise
    except (StewardError, ValueError) as error:
        return None, f"{version.number} cannot score the holdout: {error}"


def _answers(version: Version, frame: pd.DataFrame, classes: tuple[Any, ...] | None) -> tuple[Floats, float]:
    """Answers in the run's order of classes, and the threshold on them."""
    artifact, signature = version.serving or version.artifact, version.signature
    if classes is not None and len(classes) > 2:
        if version.artifact.format != ArtifactFormat.SKOPS:
            raise ValueError("an ONNX file without scikit-learn model tells its best class only")
        pipeline = formats.load_skops(store.read(version.artifact.digest))
        return evaluate.predicted(pipeline, frame, classes), version.threshold
    answer = scorer.load(artifact.digest, artifact.format, signature).score(frame)
    if classes is None or answer.score is None:
        return np.asarray(answer.prediction, np.float64), version.threshold
    if signature["positive_class"] == classes[1]:
        return answer.score, version.threshold
    return 1.0 - answer.score, 1.0 - version.threshold
