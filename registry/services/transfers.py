"""A model changes its team: offered by the one, accepted by the other."""

from __future__ import annotations

from django.utils import timezone

from mlops_site.core import events
from mlops_site.core.errors import Conflict, FieldError, Invalid
from mlops_site.core.models import Team
from mlops_site.core.permissions import Action, Actor, person, refused, require
from registry.choices import AutoDeploy, TransferStatus
from registry.models import Consumer, DeployPolicy, RegisteredModel, Transfer
from registry.services.archiving import close_open_requests
from registry.services.guards import locked, owner_named, reason_given, touch
from registry.signals import model_transferred


def offer_transfer(model: RegisteredModel, *, actor: Actor, to_team: str, reason: str) -> Transfer:
    """Offer a model to another team: by an admin of its team, or by its owner. Nothing moves before that team's admin
    accepts. Conflict `transfer_pending`."""
    why = reason_given(reason)
    with locked(model) as row:
        _require_offer(actor, row)
        team = _other_team(row, to_team)
        if row.transfers.filter(status=TransferStatus.PENDING).exists():
            raise Conflict(f"{row} is offered to a team already; withdraw that first", code="transfer_pending")
        transfer = Transfer.objects.create(
            model=row, from_team=row.team, to_team=team, reason=why, asked_by=person(actor)
        )
        _say(transfer, actor, "model.transfer_offered", {"reason": why})
    return transfer


def accept_transfer(transfer: Transfer, *, actor: Actor, owner: str) -> RegisteredModel:
    """Take the model over, with an owner of the receiving team. Open requests are void, nothing goes anywhere by itself
    until the new team says so, and tokens of the old team no longer reach it. Conflict `transfer_closed`."""
    with locked(transfer.model) as model:
        row = _decided(transfer, actor, TransferStatus.ACCEPTED, "")
        new_owner = owner_named(row.to_team, owner)
        close_open_requests(model, actor=actor, why=f"the model went to team {row.to_team.name}")
        model.team, model.owner = row.to_team, new_owner
        model.save(update_fields=["team", "owner"])
        touch(model)
        DeployPolicy.objects.create(
            model=model, reach=AutoDeploy.NONE, set_by=person(actor), reason="the model changed its team"
        )
        Consumer.objects.filter(model=model).exclude(token__team=row.to_team).delete()
        _say(row, actor, "model.transferred", {"owner": owner})
        model_transferred.send(sender=RegisteredModel, model=model, before=row.from_team, actor=actor)
    return model


def decline_transfer(transfer: Transfer, *, actor: Actor, comment: str) -> Transfer:
    """Turn a model down, saying why."""
    said = reason_given(comment, field="comment")
    with locked(transfer.model):
        row = _decided(transfer, actor, TransferStatus.DECLINED, said)
        _say(row, actor, "model.transfer_declined", {"comment": said})
    return row


def withdraw_transfer(transfer: Transfer, *, actor: Actor, comment: str = "") -> Transfer:
    """Take an offer back, by those who might have made it. Conflict `transfer_closed`."""
    said = reason_given(comment, field="comment", needed=False)
    with locked(transfer.model) as model:
        if not actor.may(Action.MODEL_TRANSFER, transfer.from_team_id):  # whose admins learn that it is too late
            _require_offer(actor, model)
        row = _closed(transfer, actor, TransferStatus.WITHDRAWN, said)
        _say(row, actor, "model.transfer_withdrawn", {"comment": said})
    return row


def _require_offer(actor: Actor, model: RegisteredModel) -> None:
    is_owner = actor.user is not None and actor.user.pk == model.owner_id
    if is_owner and actor.may(Action.MODEL_EDIT, model.team_id):
        return
    require(actor, Action.MODEL_TRANSFER, model.team, subject=model.subject)


def _other_team(model: RegisteredModel, name: str) -> Team:
    found = Team.objects.filter(name=name).exclude(pk=model.team_id).first()
    if found is None:
        message = f"to_team must be another team than {model.team.name} but got {name[:80]!r}"
        raise Invalid(message, code="unknown_team", errors=[FieldError("to_team", "unknown_team", message)])
    return found


def _decided(transfer: Transfer, actor: Actor, status: TransferStatus, comment: str) -> Transfer:
    """Closed by an admin of the receiving team; another's admin learns no more than that it is not theirs."""
    if not actor.may(Action.MODEL_TRANSFER, transfer.to_team_id):
        detail = f"an admin of team {transfer.to_team.name} decides on this transfer, not {actor.name}"
        team = transfer.from_team if transfer.from_team_id in actor.roles else transfer.to_team
        raise refused(actor, detail, action=Action.MODEL_TRANSFER, subject=transfer.subject, team=team)
    return _closed(transfer, actor, status, comment)


def _closed(transfer: Transfer, actor: Actor, status: TransferStatus, comment: str) -> Transfer:
    """The row as it is now, closed; under the model's lock."""
    row = Transfer.objects.select_related("model", "from_team", "to_team").get(pk=transfer.pk)
    if row.status != TransferStatus.PENDING:
        raise Conflict(f"the transfer of {row.model} is {row.get_status_display()}", code="transfer_closed")
    row.status, row.decided_by, row.decided_at, row.comment = status, person(actor), timezone.now(), comment
    row.save(update_fields=["status", "decided_by", "decided_at", "comment"])
    return row


def _say(transfer: Transfer, actor: Actor, action: str, data: dict[str, str]) -> None:
    """In the records of both teams."""
    told = {**data, "from": transfer.from_team.name, "to": transfer.to_team.name, "transfer": transfer.pk}
    for team in (transfer.from_team, transfer.to_team):
        events.record(action, actor=actor, subject=transfer.model.subject, team=team.name, data=told)
