"""What an operator should know of the types that TRUSTED_TYPES adds: `manage.py check --deploy` says it.

The reviewed list leaves them out for a reason or has not looked at them; the two questions are those of `trust`.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning  # noqa: A004

_NATIVE = ("sklearn.svm", "sklearn.neighbors", "sklearn.cluster", "sklearn.gaussian_process", "lightgbm", "xgboost",
           "catboost")  # fmt: skip
_READERS = ("sklearn.feature_extraction",)
_CALLERS = ("sklearn.model_selection", "sklearn.multioutput", "sklearn.inspection", "sklearn.feature_selection")
_HOOKS = ("__setstate__", "__reduce__", "__reduce_ex__", "__new__", "__setattr__", "__getattr__", "__getattribute__",
          "__del__")  # fmt: skip
_REVIEWED_BASES = ("sklearn.", "builtins")


def check_operator_types(**_: Any) -> list[CheckMessage]:
    """A warning for each type of TRUSTED_TYPES that could do more than predict."""
    hint = "Take it off TRUSTED_TYPES, or read what it does while a file is restored and while it predicts."
    return [
        Warning(f"TRUSTED_TYPES names {name}: {risk}", hint=hint, id="registry.W001")
        for name in settings.TRUSTED_TYPES
        for risk in risks(name)
    ]


def risks(type_name: str) -> Iterator[str]:
    """What speaks against trusting the type; nothing for a class that only holds arrays and computes with them.

    >>> list(risks("sklearn.cross_decomposition._pls.PLSRegression"))
    []
    """
    module, _, name = type_name.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        yield f"it is not installed here ({error}), and whatever comes to bear its name will be trusted"
        return
    if not inspect.isclass(found):
        yield "it is no type; a file could have it called"
        return
    if _within(module, _READERS):
        yield "it opens files that a feature or the model file names"
    if _within(module, _CALLERS):
        yield "it calls functions that the model file names"
    if _within(module, _NATIVE) or _is_compiled(found):
        yield "its native code follows indices that it takes from the file, and may crash or read beyond its arrays"
    for base in found.__mro__:
        if not base.__module__.startswith(_REVIEWED_BASES) and (hooks := [h for h in _HOOKS if h in vars(base)]):
            yield f"{base.__module__}.{base.__name__} runs code of its own while a file is restored: {', '.join(hooks)}"


def _within(module: str, packages: tuple[str, ...]) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


def _is_compiled(found: type[Any]) -> bool:
    return not str(getattr(sys.modules.get(found.__module__), "__file__", "") or "").endswith(".py")
