"""One version, or one stage of it, as MLflow has them. Everything can be done again without a second version."""

from __future__ import annotations

import tempfile
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_site.core import mlflow, store
from registry.artifacts.formats import load_skops
from registry.artifacts.trust import TRUSTED
from registry.choices import ArtifactFormat, Decision, Stage
from registry.models import StageInterval, Version

if TYPE_CHECKING:
    from mlflow import MlflowClient

NUMBER, DIGEST, STAGE = "steward.version", "steward.digest", "steward.stage"
PATH = "model"  # of the model among the artifacts of its run
ALIAS = "production"


def register(client: MlflowClient, version: Version) -> tuple[int, str]:
    """MLflow's number of the version and the run that holds its model."""
    name = version.model.name
    found = _known(client, version)
    if found is not None:
        return int(found.version), str(found.run_id)
    _ensure_model(client, version)
    run_id = _run_of(client, version)
    with tempfile.TemporaryDirectory() as folder:
        _save(version, Path(folder) / PATH)
        client.log_artifacts(run_id, str(Path(folder) / PATH), PATH)
    made = client.create_model_version(
        name,
        source=f"runs:/{run_id}/{PATH}",
        run_id=run_id,
        tags=_tags(version),
        description=f"{version} of Steward, registered by {version.created_by.username}",
    )
    return int(made.version), run_id


def set_stage(client: MlflowClient, version: Version, interval: StageInterval) -> None:
    """The stage as a tag of the version; of production also the alias, and by whom it was approved."""
    name, number = version.model.name, str(version.mirrored.number)
    tags = {STAGE: interval.stage, "steward.cause": interval.cause}
    if interval.by is not None:
        tags["steward.by"] = interval.by.username
    if interval.request is not None:
        approved = interval.request.reviews.filter(decision=Decision.APPROVE).order_by("pk")
        tags["steward.request"] = str(interval.request_id)
        tags["steward.approved_by"] = ", ".join(approved.values_list("reviewer__username", flat=True))
    for key, value in tags.items():
        client.set_model_version_tag(name, number, key, value)
    if interval.stage == Stage.PRODUCTION:
        client.set_registered_model_alias(name, ALIAS, number)


def _known(client: MlflowClient, version: Version) -> Any:
    """What MLflow has of the version already: it was told, and we did not live to write it down."""
    wanted = f"name = '{version.model.name}' and tags.`{NUMBER}` = '{version.number}'"
    rows = client.search_model_versions(wanted)
    return next((row for row in rows if row.tags.get(DIGEST) == version.artifact_id), None)


def _ensure_model(client: MlflowClient, version: Version) -> None:
    from mlflow.exceptions import MlflowException

    model = version.model
    try:
        client.create_registered_model(model.name, {"steward.team": model.team.name}, model.description)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _run_of(client: MlflowClient, version: Version) -> str:
    """The record of the training run, so that nothing is there twice; for any other version one of its own."""
    from mlflow.exceptions import MlflowException

    if run_id := version.mlflow.get("run_id"):
        try:
            return str(client.get_run(run_id).info.run_id)
        except MlflowException as error:  # logged to another MLflow, or deleted there
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
    experiment = mlflow.experiment(client, version.model.name)
    if trained_by := version.lineage.get("run"):  # the same record as training's, whichever of the two is first
        return str(mlflow.run(client, experiment, mlflow.key_of_run(trained_by), {}).info.run_id)
    key = {"steward.registered": f"{version.model.name}@{version.number}"}
    run = mlflow.run(client, experiment, key, {"mlflow.runName": version.number, **_tags(version)})
    if run.info.status != "FINISHED":
        _describe(client, run.info.run_id, version)
        client.set_terminated(run.info.run_id)
    return str(run.info.run_id)


def _describe(client: MlflowClient, run_id: str, version: Version) -> None:
    from mlflow.entities import Metric, Param

    metrics = [Metric(name, metric["value"], 0, 0) for name, metric in version.metrics.items() if _is_name(name)]
    params = [Param(name, f"{value!s:.500}") for name, value in version.params.items() if _is_name(name)]
    client.log_batch(run_id, metrics=metrics[:900], params=params[:90])


def _is_name(name: str) -> bool:
    """MLflow refuses other names, and the version must not wait for that."""
    return bool(name) and len(name) <= 200 and all(c.isalnum() or c in "_-. " for c in name) and ".." not in name


def _tags(version: Version) -> dict[str, str]:
    return {NUMBER: version.number, DIGEST: version.artifact_id, STAGE: str(Stage.DEVELOPMENT)}


def _save(version: Version, path: Path) -> None:
    """In MLflow's own layout: an estimator as its sklearn flavour, kept as skops; a graph as its onnx flavour."""
    data = store.read(version.artifact_id)
    if version.artifact.format == ArtifactFormat.ONNX:
        import onnx
        from mlflow import onnx as flavour

        needs = _needs("onnx", "onnxruntime")
        model = onnx.load_from_string(data)
        flavour.save_model(model, str(path), pip_requirements=needs, save_as_external_data=False)
        return
    from mlflow import sklearn as flavour

    flavour.save_model(
        load_skops(data),
        str(path),
        serialization_format="skops",
        skops_trusted_types=list(TRUSTED),
        pip_requirements=_needs("scikit-learn", "skops", "numpy", "pandas"),  # else MLflow tries the model to find out
    )


def _needs(*packages: str) -> list[str]:
    return [f"{package}=={installed(package)}" for package in packages]
