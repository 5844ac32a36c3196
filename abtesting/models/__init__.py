"""Experiments, their splits, and what became of the units."""

from abtesting.models.experiment import Epoch, Experiment
from abtesting.models.laws import LAWS
from abtesting.models.sums import ArmSums, ShadowAnswer, Unit

__all__ = ["LAWS", "ArmSums", "Epoch", "Experiment", "ShadowAnswer", "Unit"]
