"""The law over what surrounds models and versions: aliases, remarks, archiving, transfers (see core.laws)."""

from __future__ import annotations

from mlops_site.core.laws import Law

_ANOTHER_MODELS = (
    "NOT EXISTS (SELECT 1 FROM registry_version w WHERE w.id = NEW.version_id AND w.model_id = NEW.model_id)"
)
_ARCHIVED = "EXISTS (SELECT 1 FROM registry_registeredmodel m WHERE m.id = NEW.model_id AND m.archived_at IS NOT NULL)"

# the latest transfer of the model is accepted, and is of these two teams: an older one opens no way back
_TRANSFERRED = """EXISTS (SELECT 1 FROM registry_transfer t WHERE t.model_id = NEW.id AND t.status = 'accepted'
    AND t.from_team_id = OLD.team_id AND t.to_team_id = NEW.team_id
    AND t.id = (SELECT MAX(u.id) FROM registry_transfer u WHERE u.model_id = NEW.id))"""

_ASKED = ("id", "model_id", "from_team_id", "to_team_id", "reason", "asked_by_id", "asked_at")

CATALOG_LAWS: list[Law] = [
    Law("alias_of_its_model", "registry_alias", "INSERT", _ANOTHER_MODELS, "an alias names a version of its model"),
    Law(
        "alias_stays_with_its_model",
        "registry_alias",
        "UPDATE",
        _ANOTHER_MODELS,
        "an alias names a version of its own model",
    ),
    Law(
        "remark_keeps_its_version",
        "registry_remark",
        "UPDATE",
        "NEW.version_id <> OLD.version_id",
        "a remark stays with its version",
    ),
    Law("remark_no_delete", "registry_remark", "DELETE", "1 = 1", "remarks are kept"),
    Law("remark_no_truncate", "registry_remark", "TRUNCATE", "1 = 1", "remarks are kept"),
    Law("version_of_a_live_model", "registry_version", "INSERT", _ARCHIVED, "an archived model takes no version"),
    Law(
        "request_of_a_live_model",
        "registry_promotionrequest",
        "INSERT",
        _ARCHIVED,
        "an archived model takes no request",
    ),
    Law(
        "interval_of_a_live_model",
        "registry_stageinterval",
        "INSERT",
        f"NEW.stage <> 'archived' AND {_ARCHIVED}",
        "versions of an archived model only leave",
    ),
    Law(
        "model_moves_by_a_transfer",
        "registry_registeredmodel",
        "UPDATE",
        f"NEW.team_id <> OLD.team_id AND NOT {_TRANSFERRED}",
        "a model changes its team by an accepted transfer",
    ),
    Law(
        "transfer_of_its_team",
        "registry_transfer",
        "INSERT",
        "NEW.status <> 'pending' OR NOT EXISTS (SELECT 1 FROM registry_registeredmodel m"
        " WHERE m.id = NEW.model_id AND m.team_id = NEW.from_team_id)",
        "a transfer starts pending, at the team that has the model",
    ),
    Law(
        "transfer_only_decided",
        "registry_transfer",
        "UPDATE",
        "OLD.status <> 'pending' OR " + " OR ".join(f"NEW.{column} <> OLD.{column}" for column in _ASKED),
        "a transfer is decided once; what it asks never changes",
    ),
    Law("transfer_no_delete", "registry_transfer", "DELETE", "1 = 1", "transfers are kept"),
    Law("transfer_no_truncate", "registry_transfer", "TRUNCATE", "1 = 1", "transfers are kept"),
]
