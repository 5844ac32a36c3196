"""Which types an operator may add to the trust list, and that a bad name stops the start."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from mlops_site.core.typenames import MAX_TYPES, operator_types, refusal

GOOD = "sklearn.cross_decomposition._pls.PLSRegression"


def test_exact_names_are_read_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUSTED_TYPES", f" {GOOD}, sklearn.svm._classes.SVC,{GOOD} ")
    assert operator_types() == (GOOD, "sklearn.svm._classes.SVC")
    monkeypatch.setenv("TRUSTED_TYPES", "")
    assert operator_types() == ()


@pytest.mark.parametrize(
    "name",
    [
        "builtins.eval", "builtins.exec", "builtins.getattr", "os.system", "posix.system", "subprocess.Popen",
        "functools.partial", "operator.itemgetter", "operator.attrgetter", "operator.methodcaller",
        "importlib.import_module",
        "pickle.loads", "_pickle.loads", "shutil.rmtree", "ctypes.CDLL", "runpy.run_path", "sys.exit", "socket.socket",
        "numpy.load", "numpy.lib.npyio.NpzFile", "numpy.memmap", "numpy.ctypeslib.load_library", "joblib.load",
        "joblib.memory.Memory", "cloudpickle.loads", "dill.loads", "torch.load", "skops.io.load", "pandas.read_pickle",
        "pandas.io.pickle.read_pickle", "pandas.eval", "scipy.io.loadmat", "scipy.LowLevelCallable",
        "sklearn.datasets.load_files", "sklearn.datasets._base.load_files", "sklearn.externals.anything.x",
        "django.core.management.call_command", "mlops_site.core.store.delete", "registry.services.rollback",
        "requests.get", "boto3.client",
    ],
)  # fmt: skip
def test_what_loads_runs_or_reaches_out_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("TRUSTED_TYPES", f"{GOOD},{name}")
    with pytest.raises(ImproperlyConfigured, match=f"TRUSTED_TYPES must not name '{name}'"):
        operator_types()


@pytest.mark.parametrize(
    "name",
    ["*", "sklearn.*", "sklearn.svm.", ".svm", "SVC", "sklearn..svm", "sklearn svm.SVC", "a.b()", "a.b\n.c", "à.b"],
)
def test_only_exact_names_are_taken(name: str) -> None:
    assert "exact name" in refusal(name)


def test_the_list_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUSTED_TYPES", ",".join(f"sklearn.a.B{n}" for n in range(MAX_TYPES + 1)))
    with pytest.raises(ImproperlyConfigured, match="at most 50"):
        operator_types()


@pytest.mark.parametrize(("value", "status"), [(GOOD, 0), ("os.system", 1)])
def test_every_process_reads_it_and_a_bad_one_does_not_start(value: str, status: int) -> None:
    code = "from django.conf import settings; print(settings.TRUSTED_TYPES)"
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "--verbosity", "0", "--command", code],
        env={**os.environ, "TRUSTED_TYPES": value, "DJANGO_SETTINGS_MODULE": "mlops_site.settings"},
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status
    assert (
        (f"('{GOOD}',)" in done.stdout) if status == 0 else ("TRUSTED_TYPES must not name 'os.system'" in done.stderr)
    )
