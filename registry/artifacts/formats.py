"""Writing and reading .skops files. Nothing is ever unpickled.

`load_skops` is for bytes that were inspected once (`inspection.inspect_upload`) or that this process wrote.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from mlops_site.core.errors import Invalid
from registry.artifacts.archive import check_archive, refused, sniff, untrusted
from registry.artifacts.repeatable import repeatable
from registry.artifacts.trees import check_trees, parts
from registry.artifacts.trust import trusted


def dump_skops(estimator: object) -> bytes:
    """The fitted estimator as a .skops file for `load_skops`; Invalid if it holds an untrusted type."""
    from zipfile import ZIP_DEFLATED

    import skops.io

    data = repeatable(skops.io.dumps(estimator, compression=ZIP_DEFLATED, compresslevel=1))
    check_archive(data, trust=trusted())
    return data


def load_skops(data: bytes, trust: Collection[str] | None = None) -> Any:
    """The estimator in a .skops file: archive, types and trees are checked first, in this order.

    `trust` is our reviewed list and what an operator added, as `trusted()` says; never what the file asks for.
    """
    trust = trusted() if trust is None else trust
    if (found := sniff(data)) != "skops":
        raise refused("unknown_format", f"the artifact must be a .skops file but got {found}")
    check_archive(data, trust=trust)
    try:
        model = _load(data, trust)
        check_trees(model)
        _calm(model)
    except Invalid:
        raise
    except Exception as error:  # a crafted state may raise anything while it is restored and looked at
        message = f"the .skops file holds no usable model: {type(error).__name__}: {error!s:.200}"
        raise refused("damaged_archive", message) from error
    return model


def _load(data: bytes, trust: Collection[str]) -> Any:
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    try:
        return skops.io.loads(data, trusted=list(trust))
    except UntrustedTypesFoundException as error:
        named = skops.io.get_untrusted_types(data=data)
        raise untrusted(set(named) - set(trust)) from error


def _calm(model: object) -> None:
    """One thread for each model: the server's own threads share the machine, and the file must not choose."""
    for part in parts(model):
        if "n_jobs" in getattr(part, "__dict__", {}):
            part.n_jobs = None
        if "verbose" in getattr(part, "__dict__", {}):
            part.verbose = 0
