"""A version that is watched, and what its rows really add up to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mlops_site.core.permissions import Actor
from mlops_site.stats.profile import profile, reference_bins
from monitoring.models import Bucket, FoldItem, Label, Prediction
from monitoring.selectors import basis_of
from monitoring.selectors.slices import error_places, slicings
from monitoring.services.buckets import Content, added, content_of
from monitoring.services.counted import Row, Rules, breakdown_of
from monitoring.services.folding import Answer, profile_of, tally_of
from monitoring.stats.tally import Tally
from registry import services
from registry.models import RegisteredModel, Version
from tests.registry.parts import SIGNATURE, candidate

Name = tuple[int, str]


def reference(columns: int = 2, rows: int = 500) -> bytes:
    """The profile of training data: age and visits, and as many more numbers as are asked for."""
    random = np.random.default_rng(0)
    names = ["age", "visits", *(f"x{i}" for i in range(columns - 2))]
    frame = pd.DataFrame({name: random.normal(50, 10, rows) for name in names})
    return profile(frame, reference_bins(frame, dict.fromkeys(names, "number"), salt="tests")).to_bytes()


def watched(model: RegisteredModel, author: Actor, *, columns: int = 2, **changes: Any) -> Version:
    """The model's next version, registered with a reference."""
    names = ["age", "visits", *(f"x{i}" for i in range(columns - 2))]
    signature = SIGNATURE | {"inputs": [{"name": name, "kind": "number"} for name in names]}
    parts: dict[str, Any] = {"reference": reference(columns), "signature": signature, **changes}
    return services.register_version(model, actor=author, candidate=candidate(**parts))


def recomputed(version: Version) -> Content:
    """Profile and tally of a version from its rows and the highest revision of each label."""
    basis = basis_of(version)
    rows = list(Prediction.objects.filter(version=version).values_list(*Answer._fields, "features", "slices"))
    labels = newest_labels(version.model)
    answers = [Answer(*columns) for *columns, _, _ in rows]
    tally = tally_of([(answer, labels.get(answer.name)) for answer in answers], basis)
    counted = None if basis.bins is None else profile_of([features for *_, features, _ in rows], basis.bins)
    said = list(Label.objects.filter(model=version.model).order_by("revision"))
    first = {label.request_id: label for label in reversed(said)}
    last = {label.request_id: label for label in said}
    known = [
        Row(Answer(*columns), features, slices, is_new=True)._replace(**_told(columns[3], first, last))
        for *columns, features, slices in rows
    ]
    return Content(len(rows), counted, tally, breakdown_of(known, basis, rules_of(version)))


def _told(request: str, first: Mapping[str, Label], last: Mapping[str, Label]) -> dict[str, Any]:
    if request not in last:
        return {}
    times = first[request].observed_at, first[request].received_at
    return {"label": last[request].label, "human": last[request].human_decision, "first": times}


def rules_of(version: Version) -> Rules:
    """As the folder knows them."""
    return Rules(slicings([version.model_id]), error_places([version.pk]))


def newest_labels(model: RegisteredModel) -> Mapping[Name, Any]:
    rows = Label.objects.filter(model=model).order_by("revision").values_list("request_id", "label")
    return {(model.pk, request_id): label for request_id, label in rows}


def folded(version: Version) -> Content:
    """The sum of all buckets of a version."""
    basis = basis_of(version)
    total = content_of(Bucket(), basis)
    for bucket in Bucket.objects.filter(version=version):
        total = added(total, content_of(bucket, basis))
    return total


def queued(version: Version) -> Content:
    """What the queue still holds for a version, item by item."""
    basis = basis_of(version)
    total = content_of(Bucket(), basis)
    for item in FoldItem.objects.order_by("pk"):
        total = added(total, _effect(item, version))
    return total


def _effect(item: FoldItem, version: Version) -> Content:
    basis = basis_of(version)
    nothing = content_of(Bucket(), basis)
    if item.prediction_id is not None:
        rows = Prediction.objects.filter(version=version, pk=item.prediction_id)
        for *columns, features, slices in rows.values_list(*Answer._fields, "features", "slices"):
            counted = None if basis.bins is None else profile_of([features], basis.bins)
            answer = Answer(*columns)
            new = [Row(answer, features, slices, is_new=True)]
            return Content(1, counted, tally_of([(answer, None)], basis), breakdown_of(new, basis, rules_of(version)))
        return nothing
    assert item.label_id is not None
    label = Label.objects.get(pk=item.label_id)
    rows = Prediction.objects.filter(version=version, model=label.model, request_id=label.request_id)
    for *columns, features, slices in rows.values_list(*Answer._fields, "features", "slices"):
        answer = Answer(*columns)
        earlier = Label.objects.filter(
            model=label.model, request_id=label.request_id, revision=label.revision - 1
        ).first()
        tally = tally_of([(answer, label.label)], basis)
        tally -= tally_of([(answer, earlier.label if earlier else None)], basis)
        before = Row(answer, features, slices)
        first = (label.observed_at, label.received_at) if label.revision == 1 else None
        after = before._replace(label=label.label, human=label.human_decision, first=first)
        if earlier:
            before = before._replace(label=earlier.label, human=earlier.human_decision)
        gained, lost = (breakdown_of([row], basis, rules_of(version)) for row in (after, before))
        return Content(0, nothing.profile, tally, gained - lost)
    return nothing


def is_same(first: Content, second: Content) -> bool:
    same = first.rows == second.rows and first.profile == second.profile and first.tally == second.tally
    return same and first.breakdown == second.breakdown


def empty_tally(version: Version) -> Tally:
    return Tally.empty(basis_of(version).shape)
