"""What people add to a run: text and figures, for good."""

from __future__ import annotations

import io
import warnings
from typing import IO, NamedTuple

from mlops_site.core import events, store
from mlops_site.core.errors import Conflict, Invalid, TooLarge
from mlops_site.core.permissions import Action, Actor, person, require
from mlops_site.core.texts import unseen
from training.models import Run, RunNote

MOST = 100  # notes of one run
TEXT_CHARS, NAME_CHARS = 4_000, 120
FIGURE_BYTES, SIDE_PIXELS = 2 << 20, 4_000


class Picture(NamedTuple):
    """A PNG drawn anew from the pixels of what was sent: nothing else of it is kept."""

    png: bytes
    width: int
    height: int


def add_note(run: Run, *, actor: Actor, text: str = "", figure: IO[bytes] | None = None, name: str = "") -> RunNote:
    """Keep a text, a PNG figure, or both with the run.

    Invalid `required`, `too_long`, `control_character`, `not_png`, `too_many_pixels`; TooLarge; Conflict `too_many`;
    Forbidden.
    """
    team = run.model.team
    with events.atomic():
        require(actor, Action.ANNOTATE, team, subject=run.subject)
    said = _checked(text)
    if not said and figure is None:
        raise Invalid.on("text", "text or a figure must be given", code="required")
    picture = None if figure is None else _drawn(figure)
    stored = None if picture is None else store.put(picture.png, max_bytes=2 * FIGURE_BYTES)
    with events.atomic():
        Run.objects.select_for_update().only("pk").get(pk=run.pk)  # so that two at once cannot both be the last
        if RunNote.objects.filter(run=run).count() >= MOST:
            raise Conflict(f"a run has at most {MOST} notes, and {run} has them", code="too_many")
        shown = {} if picture is None else {"name": _named(name), "width": picture.width, "height": picture.height}
        digest = stored.digest if stored else ""
        note = RunNote.objects.create(run=run, by=person(actor), text=said, figure=digest, **shown)
        data = {"note": note.pk, "text": said, "figure": digest}
        events.record("run.noted", actor=actor, subject=run.subject, team=team.name, data=data)
    return note


def _checked(text: str) -> str:
    said = text.replace("\r\n", "\n").strip()
    if len(said) > TEXT_CHARS:
        raise Invalid.on(
            "text", f"text must be at most {TEXT_CHARS:,} characters but has {len(said):,}", code="too_long"
        )
    if found := unseen(said):
        message = f"text must not contain control characters, seen or unseen, such as {found}"
        raise Invalid.on("text", message, code="control_character")
    return said


def _named(name: str) -> str:
    """Of the file, as far as a person can read it."""
    return "".join(c for c in name if c.isprintable() and not unseen(c))[-NAME_CHARS:] or "figure.png"


def _drawn(file: IO[bytes]) -> Picture:
    """The first picture of a PNG file, its metadata and whatever hides behind it left out."""
    from PIL import Image

    data = file.read(FIGURE_BYTES + 1)
    if len(data) > FIGURE_BYTES:
        raise TooLarge.on("figure", f"figure must be at most {FIGURE_BYTES >> 20} MB but is larger", code="too_large")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a picture that would fill the memory is only warned of
            with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
                width, height = image.size
                if max(width, height) <= SIDE_PIXELS:
                    bare = Image.new("RGBA", image.size)
                    bare.paste(image.convert("RGBA"))
    except Exception as error:  # whatever Pillow raises of bytes that are no PNG
        raise Invalid.on("figure", "figure must be a PNG picture but cannot be read as one", code="not_png") from error
    if max(width, height) > SIDE_PIXELS:
        message = f"figure must be at most {SIDE_PIXELS:,} pixels wide and high but is {width:,} x {height:,}"
        raise Invalid.on("figure", message, code="too_many_pixels")
    sink = io.BytesIO()
    bare.save(sink, "PNG", optimize=False)
    return Picture(sink.getvalue(), width, height)
