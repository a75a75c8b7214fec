"""Dead letters as people read them in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from crm_integration.sync.dead_letter_story import Story
from crm_integration.sync.dead_letters import DeadLetter, Preview


def letter_line(one: DeadLetter) -> str:
    """One letter in one line."""
    answer = f" ({one.status} {one.code or ''})".replace(" )", ")") if one.status else ""
    edited = "; edited" if one.edited else ""
    tries = "1 try" if one.tries == 1 else f"{one.tries} tries"
    return (
        f"{one.object_type:<9}{one.object_id}  {one.since:%Y-%m-%d %H:%M} UTC  "
        f"{one.reason}{answer}; {tries}{edited}"
    )


def preview_lines(tenant: str, shown: Preview) -> Iterator[str]:
    """What a redrive would send."""
    for (object_type, reason), number in shown.counts.items():
        yield f"{tenant}: {number} {object_type}: {reason}"
    more = len(shown.letters) - len(shown.first)
    ids = ", ".join(map(str, shown.first))
    yield f"    {ids}{f' and {more} more' if more else ''}"
    for object_type in shown.held:
        yield f"    a hold is open for {object_type}: they wait until it is released"


def story_lines(story: Story) -> Iterator[str]:
    """A letter from payload to answer."""
    yield letter_line(story.letter)
    yield ""
    if story.payload is None:
        yield f"payload: raw record {story.letter.raw_id} is gone (erased, or past its retention)"
    else:
        said = story.payload
        yield (
            f"payload: raw record {said.raw_id}, {said.object_type} {said.source_id} of "
            f"{said.connection_id}, as of {said.source_time:%Y-%m-%d %H:%M:%S} UTC"
        )
        yield _block(said.body)
    yield "canonical row:"
    yield _block(story.canonical) if story.canonical is not None else "    gone"
    yield f"desired, by {story.letter.mapping_id}:"
    yield _block(dict(story.desired))
    if story.original is not None:
        yield "before the edit:"
        yield _block(_differing(story))
    for one in story.tries:
        yield f"{one.kind} at {one.at:%Y-%m-%d %H:%M:%S} UTC, run {one.run_id}:"
        yield f"  request:\n{_block(one.request)}"
        yield f"  answer {one.status} {one.code or ''}:\n{_block(one.answer)}"
    if not story.tries:
        yield "tries: none is kept"
    yield ""
    yield story.advice


def _differing(story: Story) -> dict[str, Any]:
    original = story.original or {}
    return {name: value for name, value in original.items() if story.desired.get(name) != value}


def _block(value: Any) -> str:
    if isinstance(value, str):
        text = value
    else:
        text = orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2).decode()
    return "\n".join(f"    {line}" for line in text.splitlines())
