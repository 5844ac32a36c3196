"""LightGBM and XGBoost as trainers: what `fit` returns is a plain scikit-learn model with their trees (`histograms`).

Both see their columns in single precision, so that a threshold never falls between two numbers that serving cannot
tell apart. They are imported when something is trained: no process that serves needs them.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import json
import re
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlops_site.stats.scored import TaskType
from training.ml.histograms import Floats, Nodes, rebuilt, single
from training.ml.parted import Blocks

_AGREED_ROWS = 200
_AGREED = 1e-4  # of the largest answer: XGBoost adds its trees in single precision
_DEFAULT_LEFT, _MISSING_IS_NAN = 2, 8  # bits of LightGBM's decision types
_HAS_CATEGORIES = 1


class LightGBM:
    """A trainer with LightGBM's own parameter names."""

    def __init__(self, task_type: TaskType, *, random_state: int, n_jobs: int = 1, **settings: Any) -> None:
        self.task_type, self.seed, self.n_jobs, self.settings = task_type, random_state, n_jobs, settings

    def fit(self, columns: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train on prepared columns (n, columns) and their truth (n,)."""
        import lightgbm

        matrix = single(columns)
        return self._fitted(partial(lightgbm.Dataset, matrix), matrix, y, sample_weight)

    def fit_blocks(self, blocks: Blocks, y: Any, sample_weight: Any = None) -> Any:
        """What `fit` makes of all rows, of which no more than a part is ever held."""
        from training.ml.streams import Stream, Streamed

        return self._fitted(partial(Streamed, Stream(blocks)), single(blocks.first(_AGREED_ROWS)), y, sample_weight)

    def _fitted(self, rows: Callable[..., Any], first: NDArray[np.float32], y: Any, sample_weight: Any) -> Any:
        import lightgbm

        classes, truth = _target(self.task_type, y)
        many = classes is not None and len(classes) > 2
        params = dict(self.settings)
        rounds = params.pop("n_estimators")
        params |= _objective(classes, "regression", "binary", "multiclass")
        params |= {"seed": self.seed, "num_threads": self.n_jobs, "verbosity": -1}
        # Else the number of threads and the order of their sums would be part of the model.
        params |= {"deterministic": True, "force_col_wise": True}
        booster = lightgbm.train(params, rows(truth, weight=sample_weight), num_boost_round=rounds)
        trees = [_lightgbm_tree(part) for part in _lightgbm_parts(booster.model_to_string(num_iteration=-1))]
        width = len(classes) if classes is not None and many else 1
        stages = [trees[at : at + width] for at in range(0, len(trees), width)]
        model = rebuilt(stages, np.zeros(width), columns=first.shape[1], classes=classes)
        return _agreed(model, first, np.asarray(booster.predict(first[:_AGREED_ROWS], num_threads=self.n_jobs)))


class XGBoost:
    """A trainer with XGBoost's own parameter names, on the device that `device` says."""

    def __init__(self, task_type: TaskType, *, random_state: int, n_jobs: int = 1, **settings: Any) -> None:
        self.task_type, self.seed, self.n_jobs, self.settings = task_type, random_state, n_jobs, settings

    def fit(self, columns: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train on prepared columns (n, columns) and their truth (n,)."""
        import xgboost

        matrix, (classes, truth) = single(columns), _target(self.task_type, y)
        params = dict(self.settings)
        rounds = params.pop("n_estimators")
        params |= _objective(classes, "reg:squarederror", "binary:logistic", "multi:softprob")
        params |= {"seed": self.seed, "nthread": self.n_jobs, "verbosity": 0, "tree_method": "hist"}
        params["device"] = params.get("device", device()[0])
        if signs := params.pop("monotone_constraints", None):
            params["monotone_constraints"] = tuple(signs)
        rows = xgboost.QuantileDMatrix(
            matrix, truth, weight=sample_weight, nthread=self.n_jobs, max_bin=params.get("max_bin", 256)
        )
        booster = xgboost.train(params, rows, num_boost_round=rounds)
        model = _from_xgboost(bytes(booster.save_raw("json")), classes, matrix.shape[1])
        few = xgboost.DMatrix(matrix[:_AGREED_ROWS], nthread=self.n_jobs)
        return _agreed(model, matrix, np.asarray(booster.predict(few)))


def has_lightgbm() -> bool:
    """Whether LightGBM is installed and can be loaded: on Linux it wants the system's libgomp."""
    if importlib.util.find_spec("lightgbm") is None:
        return False
    try:
        return not sys.platform.startswith("linux") or ctypes.CDLL("libgomp.so.1") is not None
    except OSError:
        return False


def has_xgboost() -> bool:
    """Whether the extra `xgboost` is installed."""
    return importlib.util.find_spec("xgboost") is not None


@functools.cache
def device() -> tuple[str, str]:
    """Where XGBoost trains, "cuda" or "cpu", and why, in words for the log of a run."""
    import xgboost

    if not xgboost.build_info().get("USE_CUDA"):
        return "cpu", f"xgboost {xgboost.__version__} is a build without CUDA"
    cards = _cards()
    if not cards:
        return "cpu", f"xgboost {xgboost.__version__} finds no CUDA device"
    return "cuda", f"xgboost {xgboost.__version__} finds {cards} CUDA device{'s' if cards > 1 else ''}"


def has_cuda() -> bool:
    """Whether XGBoost would train on a graphics card; without one it is not even imported."""
    return has_xgboost() and _cards() > 0 and device()[0] == "cuda"


def _cards() -> int:
    """How many CUDA devices the driver shows to this process. XGBoost itself would fall back without a word."""
    count = ctypes.c_int(0)
    try:
        driver = ctypes.CDLL("libcuda.so.1")
        if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
            return 0
    except (OSError, AttributeError):
        return 0
    return count.value


def _target(task_type: TaskType, y: Any) -> tuple[NDArray[Any] | None, NDArray[Any]]:
    if task_type == "regression":
        return None, np.asarray(y, np.float64)
    codes, classes = pd.factorize(np.asarray(y), sort=True)  # of many texts sooner done than np.unique
    return np.asarray(classes), codes


def _objective(classes: NDArray[Any] | None, value: str, two: str, more: str) -> dict[str, Any]:
    if classes is None:
        return {"objective": value}
    if len(classes) == 2:
        return {"objective": two}
    return {"objective": more, "num_class": len(classes)}


def _agreed(model: Any, matrix: NDArray[np.float32], expected: Floats) -> Any:
    """The rebuilt model, once it has answered as its trainer does: another release may write its trees otherwise."""
    rows = matrix[:_AGREED_ROWS].astype(np.float64)
    found = model.predict_proba(rows) if hasattr(model, "predict_proba") else model.predict(rows)
    found = found[:, 1] if expected.ndim == 1 and found.ndim == 2 else found
    if not np.allclose(found, expected, rtol=0, atol=_AGREED * np.abs(expected).max(initial=1.0)):
        gap = float(np.abs(found - expected).max())
        raise RuntimeError(f"the rebuilt trees must answer as their trainer's but differ by {gap:g}")
    return model


def _lightgbm_parts(text: str) -> list[Mapping[str, str]]:
    """The fields of each tree in a LightGBM model file."""
    body = text.split("\nend of trees", 1)[0]
    return [
        dict(line.split("=", 1) for line in part.splitlines() if "=" in line) for part in re.split(r"\nTree=", body)[1:]
    ]


def _lightgbm_tree(part: Mapping[str, str]) -> Nodes:
    """Inner nodes first, then leaves, which LightGBM numbers from -1 downwards."""
    value = _numbers(part["leaf_value"])
    if int(part["num_leaves"]) == 1:
        nothing = np.array([-1])
        return Nodes(np.zeros(1, int), np.zeros(1), nothing, nothing, np.zeros(1, bool), value[:1])
    kinds = _numbers(part["decision_type"]).astype(np.int64)
    if (kinds & _HAS_CATEGORIES).any():
        raise RuntimeError("LightGBM must be trained on prepared columns but split a category")
    inner, threshold = len(kinds), _numbers(part["threshold"])
    left, right = (_children(part[side], inner) for side in ("left_child", "right_child"))
    # Without missing values in training LightGBM takes a missing one for nought.
    missing = np.where(kinds & _MISSING_IS_NAN, (kinds & _DEFAULT_LEFT) != 0, threshold >= 0)
    leaves, none = np.zeros(len(value)), np.full(len(value), -1)
    return Nodes(
        np.concatenate([_numbers(part["split_feature"]), leaves]).astype(np.intp),
        np.concatenate([threshold, leaves]),
        np.concatenate([left, none]),
        np.concatenate([right, none]),
        np.concatenate([missing, leaves.astype(bool)]),
        np.concatenate([np.zeros(inner), value]),
    )


def _children(text: str, inner: int) -> NDArray[np.intp]:
    child = _numbers(text).astype(np.intp)
    return np.where(child >= 0, child, inner - child - 1)


def _numbers(text: str) -> Floats:
    return np.array(text.split(), np.float64)


def _from_xgboost(data: bytes, classes: NDArray[Any] | None, columns: int) -> Any:
    learner = json.loads(data)["learner"]
    model = learner["gradient_booster"]["model"]
    width = len(classes) if classes is not None and len(classes) > 2 else 1
    stages: list[list[Nodes]] = []
    for tree, of_class in zip(model["trees"], model["tree_info"], strict=True):
        if of_class == 0:
            stages.append([])
        stages[-1].append(_xgboost_tree(tree))
    written = str(learner["learner_model_param"]["base_score"]).strip("[]").split(",")
    start = np.array([float(score) for score in written])
    if classes is not None and len(classes) == 2:
        start = np.log(start / (1 - start))  # it is written as a probability
    return rebuilt(stages, np.broadcast_to(start, (width,)), columns=columns, classes=classes)


def _xgboost_tree(tree: Mapping[str, Any]) -> Nodes:
    left = np.array(tree["left_children"], np.intp)
    conditions = np.array(tree["split_conditions"], np.float32)  # of a leaf, its value
    if np.any(tree.get("split_type", [0])):
        raise RuntimeError("XGBoost must be trained on prepared columns but split a category")
    return Nodes(
        np.array(tree["split_indices"], np.intp),
        np.nextafter(conditions, np.float32(-np.inf)).astype(np.float64),  # it asks whether x < c
        left,
        np.array(tree["right_children"], np.intp),
        np.array(tree["default_left"], bool),
        np.where(left < 0, conditions, 0).astype(np.float64),
    )
