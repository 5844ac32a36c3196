"""What the registry's tests are made of: small real artifacts, people, and one way into production."""

from __future__ import annotations

import functools
import io
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from mlops_site.core.models import User
from mlops_site.core.permissions import Actor
from registry import services
from registry.artifacts.formats import dump_skops
from registry.artifacts.signature import Signature
from registry.artifacts.summary import told
from registry.models import RegisteredModel, Version
from registry.services import Candidate

SIGNATURE: dict[str, Any] = {
    "inputs": [{"name": "age", "kind": "number"}, {"name": "visits", "kind": "number"}],
    "task_type": "classification",
    "classes": [0, 1],
    "positive_class": 1,
    "output": "probability",
}


def user(actor: Actor) -> User:
    assert actor.user is not None
    return actor.user


@functools.cache
def artifact(seed: int = 0) -> bytes:
    """A fitted logistic regression of two numbers as .skops; one seed, one content."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame({"age": random.normal(50, 10, 60), "visits": random.poisson(3, 60).astype(float)})
    return dump_skops(LogisticRegression().fit(frame, (frame["age"] + random.normal(0, 5, 60) > 50).astype(int)))


def candidate(seed: int = 0, **changes: Any) -> Candidate:
    """A candidate that serves; `changes` replace its parts."""
    parts: dict[str, Any] = {
        "artifact_bytes": artifact(seed),
        "format": "skops",
        "signature": SIGNATURE,
        "metrics": {"roc_auc": {"value": 0.75, "ci95": [0.7, 0.8]}},
        "params": {"C": 1.0},
    }
    return Candidate(**{**parts, **changes})


def claims(rows: int = 150, seed: int = 0) -> pd.DataFrame:
    """Rows that the artifacts could have been trained on."""
    random = np.random.default_rng(seed)
    return pd.DataFrame({"age": random.normal(50, 10, rows), "visits": random.poisson(3, rows).astype(float)})


@functools.cache
def explained(seed: int = 0) -> dict[str, Any]:
    """The parts of a candidate that explanations need."""
    return told(artifact(seed), "skops", Signature.from_json(SIGNATURE), claims())._asdict()


def holdout(score: Any, *, label: Any, first_key: int = 0) -> bytes:
    """A holdout as Parquet: row_key, label, score."""
    keys = [f"claim-{first_key + i}" for i in range(len(label))]
    stream = io.BytesIO()
    pd.DataFrame({"row_key": keys, "label": label, "score": score}).to_parquet(stream)
    return stream.getvalue()


def into_production(model: RegisteredModel, *, author: Actor, approver: Actor, seed: int, **changes: Any) -> Version:
    """A new version taken all the way by two people."""
    version = services.register_version(model, actor=author, candidate=candidate(seed, **changes))
    services.move_stage(version, actor=author, target_stage="staging", reason="ready")
    request = services.request_promotion(version, actor=author, reason="better")
    services.review_request(request, actor=approver, decision="approve")
    return version
