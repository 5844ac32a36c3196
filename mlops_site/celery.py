"""The Celery application and the system jobs of Beat. People's schedules live in the database, under other names."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlops_site.settings")

from django.conf import settings  # settings need the variable above

app = Celery("steward")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.conf.beat_schedule = {
    "system: sweep jobs": {
        "task": "core.sweep_jobs",
        "schedule": settings.JOB_SWEEP_SECS,
        "options": {"expire_seconds": max(1, round(settings.JOB_SWEEP_SECS))},
    },
    "system: send deliveries": {"task": "core.send_deliveries", "schedule": 10.0, "options": {"expire_seconds": 10}},
    "system: mirror in MLflow": {"task": "training.mirror", "schedule": 10.0, "options": {"expire_seconds": 10}},
    "system: fold": {
        "task": "monitoring.fold",
        "schedule": settings.FOLD_SECS,
        "options": {"expire_seconds": max(1, round(settings.FOLD_SECS))},
    },
    "system: watch experiments": {"task": "abtesting.watch", "schedule": 60.0, "options": {"expire_seconds": 60}},
    "system: score shadows": {"task": "abtesting.score_shadows", "schedule": 5.0, "options": {"expire_seconds": 5}},
    "system: send held messages": {"task": "monitoring.send_held", "schedule": 30.0, "options": {"expire_seconds": 30}},
    "system: compact buckets": {"task": "monitoring.compact", "schedule": 300.0, "options": {"expire_seconds": 300}},
    "system: sweep alerts": {"task": "monitoring.sweep_alerts", "schedule": 60.0, "options": {"expire_seconds": 60}},
    "system: save reports": {"task": "monitoring.save_reports", "schedule": 30.0, "options": {"expire_seconds": 30}},
    "system: evaluate retrain policies": {"task": "monitoring.evaluate_policies", "schedule": 3600.0},
    "system: forget pieces of scorings": {"task": "monitoring.forget_pieces", "schedule": 3600.0},
    "system: delete expired data": {"task": "training.erase_expired", "schedule": 3600.0},
    "system: delete expired predictions": {"task": "monitoring.end_expired", "schedule": 3600.0},
    "system: sweep approvals": {"task": "registry.sweep_approvals", "schedule": 900.0},
    "system: write audit checkpoint": {"task": "core.write_checkpoint", "schedule": 3600.0},
    "system: delete old answers": {"task": "core.delete_old_answers", "schedule": 3600.0},
}
