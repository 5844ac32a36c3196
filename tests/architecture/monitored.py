"""What monitoring answers to reading, by the names under which its statements are counted."""

from __future__ import annotations

from typing import Any

from monitoring.models import Silence
from tests.factories import Scene


class Monitored:
    """Addresses of a scene, which whoever counts has made."""

    scene: Scene
    silence: Silence
    test: Any

    def alerts(self) -> dict[str, str]:
        alert, model = self.scene.alert.pk, self.scene.model.name
        return {
            "monitoring/alerts": "monitoring/alerts",
            "monitoring/alerts/counts": "monitoring/alerts/counts",
            "monitoring/alerts/<uuid:pk>": f"monitoring/alerts/{alert}",
            "monitoring/alerts/timeline/<model:model>": f"monitoring/alerts/timeline/{model}",
            "monitoring/silences": "monitoring/silences",
            "models/<model:name>/alert-rules": f"models/{model}/alert-rules",
        }

    def alert_pages(self) -> dict[str, str]:
        rules = f"/models/{self.scene.model.name}/alert-rules"
        return {
            "alerts": "/alerts",
            "alert": f"/alerts/{self.scene.alert.pk}",
            "alert rules": rules,
            "alert rule": f"{rules}/drift",
            "silences": "/alerts/silences",
            "silence end": f"/alerts/silences/{self.silence.pk}/end",
        }

    def channels(self) -> dict[str, str]:
        one = f"monitoring/channels/{self.scene.others['channel'].pk}"
        return {
            "monitoring/channels": "monitoring/channels",
            "monitoring/channels/<uuid:pk>": one,
            "monitoring/channels/<uuid:pk>/deliveries": f"{one}/deliveries",
            "monitoring/deliveries": "monitoring/deliveries",
            "monitoring/deliveries/<uuid:pk>": f"monitoring/deliveries/{self.test.pk}",
            "inbox": "inbox",
            "inbox/settings": "inbox/settings",
        }

    def channel_pages(self) -> dict[str, str]:
        one = f"/channels/{self.scene.others['channel'].pk}"
        return {
            "alerts": "/alerts",
            "admin deliveries": "/admin/core/delivery/",
            "channels": "/channels",
            "channel": one,
            "channel log": f"{one}/log",
            "channel change": f"{one}/change",
            "channel kinds": "/channels/new",
            "channel new": "/channels/new/slack",
            "admin channels": "/admin/monitoring/channel/",
            "inbox": "/inbox",
            "inbox settings": "/inbox/settings",
        }

    def settings(self) -> dict[str, str]:
        name = self.scene.model.name
        kinds = ("retention", "retrain-policy", "monitoring-schedule", "slices")
        return {
            **{f"models/<model:name>/{kind}": f"models/{name}/{kind}" for kind in kinds},
            "monitoring/dashboard/<model:model>": f"monitoring/dashboard/{name}",
            "monitoring/quality-limits/<model:model>": f"monitoring/quality-limits/{name}",
        }

    def exports(self) -> dict[str, str]:
        board, figures = f"monitoring/dashboard/{self.scene.model.name}", "monitoring/dashboard/<model:model>"
        return {
            f"{figures}/report.html": f"{board}/report.html",
            f"{figures}/figures/<str:figure>.csv": f"{board}/figures/volume.csv",
            "monitoring/reports/<uuid:pk>/report.html": f"monitoring/reports/{self.scene.alert.report_id}/report.html",
        }

    def monitoring_pages(self) -> dict[str, str]:
        model = f"/models/{self.scene.model.name}"
        return {
            "monitoring": f"{model}/monitoring",
            "monitoring schedule": f"{model}/monitoring/schedule",
            "monitoring of the past": f"{model}/monitoring/past",
            "slices": f"{model}/slices",
        }
