"""The doorbell of training."""

from mlops_site.core.tasks import ring

__all__ = ["ring"]
