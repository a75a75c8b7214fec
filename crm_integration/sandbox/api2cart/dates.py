"""API2Cart's dates: {value, format} out, three written forms in.

Prevents the connector that knows one format: the format differs from platform to platform, one of
them carries no zone (shop time is meant) and one is a number in a string.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

from crm_integration.sandbox.api2cart.envelope import wrong
from crm_integration.sandbox.shop_state import Json

#: The format of the vendor's recorded answers; `Y-m-d H:i:s` and `U` are met on other platforms.
ISO_WITH_OFFSET = "Y-m-d\\TH:i:sO"
_WANTED = "a date string in 'Y-m-d\\TH:i:sO' ISO_8601 format"
_GIVEN = re.compile(
    r"^\d{4}-\d{2}-\d{2}([Tt ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(?P<zone>[Zz]|[+-]\d{2}:?\d{2})?)?$"
)
_TOKENS: Mapping[str, Callable[[datetime], str]] = {
    "Y": lambda at: at.strftime("%Y"),
    "m": lambda at: at.strftime("%m"),
    "d": lambda at: at.strftime("%d"),
    "H": lambda at: at.strftime("%H"),
    "i": lambda at: at.strftime("%M"),
    "s": lambda at: at.strftime("%S"),
    "O": lambda at: at.strftime("%z"),
    "P": lambda at: at.strftime("%z")[:3] + ":" + at.strftime("%z")[3:],
    "U": lambda at: str(int(at.timestamp())),
}


@lru_cache(maxsize=200_000)
def written(epoch: int, form: str, offset_minutes: int) -> str:
    """Epoch seconds in a PHP date format, in shop time."""
    at = datetime.fromtimestamp(epoch, timezone(timedelta(minutes=offset_minutes)))
    parts: list[str] = []
    characters = iter(form)
    for character in characters:
        if character == "\\":
            parts.append(next(characters, ""))
        else:
            token = _TOKENS.get(character)
            parts.append(token(at) if token else character)
    return "".join(parts)


def date_time(epoch: int, form: str, offset_minutes: int) -> Json:
    """The A2CDateTime of the description."""
    return {"value": written(epoch, form, offset_minutes), "format": form}


def read_time(name: str, text: str, offset_minutes: int) -> int:
    """Epoch seconds of a date parameter; without a zone it is shop time.

    A `+` that was not percent-encoded arrives as a blank and is refused.

    Raises:
        Failure: 109 with the parameter's name.
    """
    found = _GIVEN.match(text)
    if found is None:
        raise wrong(name, _WANTED)
    try:
        moment = datetime.fromisoformat(text.upper().replace(" ", "T"))
    except ValueError as error:
        raise wrong(name, _WANTED) from error
    if found["zone"]:
        return int(moment.timestamp())
    return int(moment.replace(tzinfo=UTC).timestamp()) - offset_minutes * 60
