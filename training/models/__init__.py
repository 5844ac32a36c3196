"""Data sets with their versions, comparisons, sources and expectations, feature sets with their values, runs and their
reproductions, and what the gates found."""

from mlops_site.core.laws import Law, append_only
from training.models.dataset import Dataset, DatasetVersion
from training.models.features import (
    FEATURE_LAWS,
    FeatureLoad,
    FeatureRow,
    FeatureSet,
    FeatureSetVersion,
    FeatureUse,
)
from training.models.keeping import Erasure, VersionProfile
from training.models.quality import QUALITY_LAWS, Expectations, GateReport, Waiver
from training.models.record import RunNote, UnrecordedRun
from training.models.reproduction import Reproduction, Training
from training.models.run import Run, RunLine
from training.models.share import Share
from training.models.source import DataSource, Fetch
from training.models.versions import Comparison

LAWS = [
    *append_only("training_datasetversion"),
    *append_only("training_versionprofile"),
    *append_only("training_runnote"),
    *QUALITY_LAWS,
    *FEATURE_LAWS,
    Law(
        "no_erasure_under_a_hold",
        "training_erasure",
        "INSERT",
        "EXISTS (SELECT 1 FROM training_datasetversion v JOIN training_dataset d ON d.id = v.dataset_id "
        "WHERE v.id = NEW.version_id AND d.hold <> '')",
        "a data set under a legal hold keeps its bytes",
    ),
]

__all__ = [
    "LAWS",
    "Comparison",
    "DataSource",
    "Dataset",
    "DatasetVersion",
    "Erasure",
    "Expectations",
    "FeatureLoad",
    "FeatureRow",
    "FeatureSet",
    "FeatureSetVersion",
    "FeatureUse",
    "Fetch",
    "GateReport",
    "Reproduction",
    "Run",
    "RunLine",
    "RunNote",
    "Share",
    "Training",
    "UnrecordedRun",
    "VersionProfile",
    "Waiver",
]
