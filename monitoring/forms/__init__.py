"""The forms of monitoring."""

from monitoring.forms.alerts import AlertForm, AlertsForm, CommentForm, SilenceForm
from monitoring.forms.channels import ChannelForm
from monitoring.forms.limits import DriftAlarmForm, FairnessForm, LimitForm, RetentionForm, SliceForm
from monitoring.forms.policy import (
    BackfillForm,
    MonitoringScheduleForm,
    RetrainPolicyForm,
    ScheduleForm,
    TeamRetrainPolicyForm,
)
from monitoring.forms.scoring import ScoreForm

__all__ = [
    "AlertForm",
    "AlertsForm",
    "BackfillForm",
    "ChannelForm",
    "CommentForm",
    "DriftAlarmForm",
    "FairnessForm",
    "LimitForm",
    "MonitoringScheduleForm",
    "RetentionForm",
    "RetrainPolicyForm",
    "ScheduleForm",
    "ScoreForm",
    "SilenceForm",
    "SliceForm",
    "TeamRetrainPolicyForm",
]
