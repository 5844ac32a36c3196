"""Names of types that an operator trusts in .skops files beside the reviewed list, and those that nobody may.

The list is read with the settings, so that a name that must not be there stops the start of every process.
"""

from __future__ import annotations

import re
import sys

from django.core.exceptions import ImproperlyConfigured

from mlops_site.core import env

MAX_TYPES = 50

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+")
_PACKAGES = frozenset(
    {
        # they load, import, run or reach for whatever they are told
        "joblib", "pickle5", "cloudpickle", "dill", "skops", "torch", "mlflow", "celery", "kombu", "billiard", "django",
        "rest_framework", "numpy", "pyarrow", "requests", "urllib3", "boto3", "botocore", "storages", "sqlalchemy",
        "psycopg2", "psutil", "setuptools", "pkg_resources", "pip", "gunicorn", "supervisor", "IPython", "cffi",
        "numba",
        # our own
        "mlops_site", "registry", "training", "monitoring", "abtesting", "manage", "tests",
    }
)  # fmt: skip
_MODULES = ("pandas.io", "pandas.core.computation", "scipy.io", "scipy.LowLevelCallable", "sklearn.datasets",
            "sklearn.externals", "sklearn.utils._testing")  # fmt: skip
_MEMBERS = re.compile(r"(read_|load|fetch_|eval$|exec$|query$)")


def operator_types(name: str = "TRUSTED_TYPES") -> tuple[str, ...]:
    """The types that the variable names, each once; ImproperlyConfigured for the first that may not be trusted."""
    found = tuple(dict.fromkeys(env.words(name)))
    if len(found) > MAX_TYPES:
        raise ImproperlyConfigured(f"{name} must name at most {MAX_TYPES} types but names {len(found)}")
    for type_name in found:
        if reason := refusal(type_name):
            raise ImproperlyConfigured(f"{name} must not name {type_name[:120]!r}: {reason}")
    return found


def refusal(type_name: str) -> str:
    """Why no operator may add the type, or nothing.

    >>> refusal("sklearn.svm._classes.SVC"), refusal("os.system")
    ('', 'the standard library holds no models, but what runs commands and opens files')
    """
    if not _NAME.fullmatch(type_name):
        return "it must be the exact name of a type with its module, such as sklearn.svm._classes.SVC"
    package = type_name.partition(".")[0]
    if package in sys.stdlib_module_names:
        return "the standard library holds no models, but what runs commands and opens files"
    if package in _PACKAGES or any(f"{type_name}.".startswith(f"{module}.") for module in _MODULES):
        return "its module loads files, reaches other machines or runs code"
    if _MEMBERS.match(type_name.rpartition(".")[2]):
        return "it names a function that loads or runs something"
    return ""
