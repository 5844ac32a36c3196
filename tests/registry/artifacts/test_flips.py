"""A thousand random bytes changed in stored files, one at a time: not one of the files is loaded."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from django.conf import LazySettings
from sklearn.pipeline import Pipeline

from mlops_site.core import store
from registry.artifacts import scorer
from registry.artifacts.formats import dump_skops
from registry.artifacts.graphs import to_onnx
from registry.artifacts.signature import Signature

Fitted = Callable[[str, str], Pipeline]
FLIPS = 1000


class Kept(NamedTuple):
    """A stored file, and how it is loaded."""

    path: Path
    digest: str
    form: str
    signature: Signature | None

    def load(self) -> Any:
        if self.signature is None:
            return pd.read_parquet(io.BytesIO(store.read(self.digest)))
        return scorer.load(self.digest, self.form, self.signature)


@pytest.fixture
def kept(
    fitted: Fitted, signatures: dict[str, Signature], frame: pd.DataFrame, settings: LazySettings, tmp_path: Path
) -> list[Kept]:
    options = {"location": str(tmp_path), "file_permissions_mode": 0o600}
    files = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": options}
    settings.STORAGES = {**settings.STORAGES, "artifacts": files}
    contents: list[tuple[bytes, str, Signature | None]] = []
    for name, target in (("logistic_regression", "binary"), ("random_forest", "many"), ("gradient_boosting", "value")):
        signature = signatures[target]
        graph = to_onnx(fitted(name, target), signature.kinds).graph
        assert graph is not None
        contents += [(dump_skops(fitted(name, target)), "skops", signature), (graph, "onnx", signature)]
    contents.append((dump_skops(fitted("hist_gradient_boosting", "value")), "skops", signatures["value"]))
    holdout, rows = io.BytesIO(), io.BytesIO()
    pd.DataFrame({"row_key": range(500), "label": 1, "score": np.linspace(0, 1, 500)}).to_parquet(holdout)
    frame.to_parquet(rows)
    contents += [(holdout.getvalue(), "parquet", None), (rows.getvalue(), "parquet", None)]
    found = []
    for content, form, described in contents:
        digest = store.put(content, max_bytes=100 << 20).digest
        found.append(Kept(tmp_path / digest[:2] / digest, digest, form, described))
    return found


def test_of_a_thousand_changed_bytes_every_one_is_noticed_at_the_load(kept: list[Kept]) -> None:
    chance, refused = random.Random(20261125), 0
    for file in kept:
        file.load()
        if file.signature:  # what a process has in its memory must not answer for what is on the disk
            scorer.cached(file.digest, file.form, file.signature)
    for _ in range(FLIPS):
        file = chance.choice(kept)
        content = file.path.read_bytes()
        position = chance.randrange(len(content))
        changed = bytearray(content)
        changed[position] ^= chance.randrange(1, 256)
        file.path.write_bytes(changed)
        with pytest.raises(store.ArtifactDamaged, match=file.digest):
            file.load()
        with pytest.raises(store.ArtifactDamaged), store.open_verified(file.digest):
            pass
        refused += 1
        file.path.write_bytes(content)
    assert refused == FLIPS
    for file in kept:
        file.load()


def test_a_changed_file_is_not_kept_in_memory(kept: list[Kept]) -> None:
    file = kept[0]
    assert file.signature is not None
    content = file.path.read_bytes()
    scorer._cache().clear()
    file.path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    for _ in range(2):
        with pytest.raises(store.ArtifactDamaged):
            scorer.cached(file.digest, file.form, file.signature)
    file.path.write_bytes(content)
    assert scorer.cached(file.digest, file.form, file.signature) is not None
