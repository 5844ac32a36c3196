"""What a search may try of each model type, and the parameters that are good without one."""

from training.ml.space import Choice, FloatRange, IntRange, Space, Value

Params = dict[str, Value]

LOGISTIC: Space = {"C": FloatRange(1e-3, 1e2, log=True), "class_weight": Choice((None, "balanced"))}
LOGISTIC_DEFAULTS: Params = {"C": 1.0, "class_weight": None}
RIDGE: Space = {"alpha": FloatRange(1e-3, 1e3, log=True)}
RIDGE_DEFAULTS: Params = {"alpha": 1.0}
ELASTIC_LOGISTIC: Space = {
    "C": FloatRange(1e-3, 1e1, log=True),
    "l1_ratio": FloatRange(0.0, 1.0, least=0.0, most=1.0),
    "class_weight": Choice((None, "balanced")),
}
ELASTIC_LOGISTIC_DEFAULTS: Params = {"C": 0.1, "l1_ratio": 0.5, "class_weight": None}
ELASTIC: Space = {
    "alpha": FloatRange(1e-3, 1e3, log=True),
    "l1_ratio": FloatRange(0.05, 1.0, least=0.01, most=1.0),
}
ELASTIC_DEFAULTS: Params = {"alpha": 0.01, "l1_ratio": 0.5}
FOREST: Space = {
    "n_estimators": IntRange(100, 300, most=2_000),
    "max_depth": IntRange(3, 20, most=100),
    "min_samples_leaf": IntRange(1, 50, log=True),
    "max_features": Choice(("sqrt", "log2", 0.5)),
}
FOREST_DEFAULTS: Params = {"n_estimators": 200, "max_depth": 12, "min_samples_leaf": 5, "max_features": "sqrt"}
EXTRA_DEFAULTS: Params = {"n_estimators": 200, "max_depth": 15, "min_samples_leaf": 2, "max_features": 0.5}
BOOSTING: Space = {
    "n_estimators": IntRange(50, 250, most=2_000),
    "learning_rate": FloatRange(0.01, 0.3, log=True, most=1.0),
    "max_depth": IntRange(2, 6, most=16),
    "min_samples_leaf": IntRange(1, 50, log=True),
    "subsample": FloatRange(0.5, 1.0, least=0.05, most=1.0),
}
BOOSTING_DEFAULTS: Params = {
    "n_estimators": 100,
    "learning_rate": 0.1,
    "max_depth": 3,
    "min_samples_leaf": 5,
    "subsample": 1.0,
}
HISTOGRAM: Space = {
    "max_iter": IntRange(50, 300, most=2_000),
    "learning_rate": FloatRange(0.01, 0.3, log=True, most=1.0),
    "max_leaf_nodes": IntRange(7, 63, log=True, least=2, most=1_023),
    "min_samples_leaf": IntRange(5, 100, log=True),
    "l2_regularization": FloatRange(1e-6, 10.0, log=True),
}
HISTOGRAM_DEFAULTS: Params = {
    "max_iter": 100,
    "learning_rate": 0.05,
    "max_leaf_nodes": 15,
    "min_samples_leaf": 20,
    "l2_regularization": 1e-6,
}
LIGHTGBM: Space = {
    "n_estimators": IntRange(50, 300, most=2_000),
    "learning_rate": FloatRange(0.01, 0.3, log=True, most=1.0),
    "num_leaves": IntRange(7, 63, log=True, least=2, most=1_023),
    "min_child_samples": IntRange(5, 100, log=True),
    "reg_lambda": FloatRange(1e-6, 10.0, log=True),
    "colsample_bytree": FloatRange(0.5, 1.0, least=0.05, most=1.0),
}
LIGHTGBM_DEFAULTS: Params = {
    "n_estimators": 100,
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_child_samples": 20,
    "reg_lambda": 1e-6,
    "colsample_bytree": 1.0,
}
XGBOOST: Space = {
    "n_estimators": IntRange(50, 300, most=2_000),
    "learning_rate": FloatRange(0.01, 0.3, log=True, most=1.0),
    "max_depth": IntRange(2, 8, most=16),
    "min_child_weight": FloatRange(1e-2, 1e2, log=True),
    "subsample": FloatRange(0.5, 1.0, least=0.05, most=1.0),
    "colsample_bytree": FloatRange(0.5, 1.0, least=0.05, most=1.0),
    "reg_lambda": FloatRange(1e-3, 1e2, log=True),
}
XGBOOST_DEFAULTS: Params = {
    "n_estimators": 100,
    "learning_rate": 0.1,
    "max_depth": 4,
    "min_child_weight": 1.0,
    "subsample": 1.0,
    "colsample_bytree": 1.0,
    "reg_lambda": 1.0,
}
NETWORK: Space = {
    "hidden_units": IntRange(8, 64, log=True, least=2, most=512),
    "hidden_layers": IntRange(1, 2, most=4),
    "alpha": FloatRange(1e-4, 1e1, log=True),
    "learning_rate_init": FloatRange(1e-4, 1e-2, log=True, most=1.0),
}
NETWORK_DEFAULTS: Params = {"hidden_units": 32, "hidden_layers": 1, "alpha": 0.1, "learning_rate_init": 1e-3}
