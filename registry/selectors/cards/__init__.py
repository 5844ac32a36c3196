"""A version's model card, generated from what is stored of it: as a value, as JSON and as Markdown."""

from registry.selectors.cards.build import card, production_before
from registry.selectors.cards.markdown import markdown
from registry.selectors.cards.parts import Card, card_json, settled

__all__ = ["Card", "card", "card_json", "markdown", "production_before", "settled"]
