"""What each of Tryton's answers means for us, as one table.

Prevents a retry of what can never succeed: Tryton refuses a missing permission with 400, a field
that does not exist with 500, and a value it does not take, within a call for many records, with
a bare 403. Only its words tell them apart, so every call asks for them in English.

Shapes (8.2): a refusal is `{"status": 400, "message", "description"}`, where the message quotes
field, record and value; everything else is a page of HTML. Messages may hold personal data: of
their text only a field's label enters an error of ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from crm_integration.errors import (
    Conflict,
    DataRejected,
    MissingScope,
    NeedsReconnect,
    Permanent,
    RemoteError,
    Transient,
)

UNKNOWN: Final = "unknown"
"""Code of a Transient after which the write may or may not stand: look before writing again."""

GONE: Final = "record_gone"
"""Code of a Transient: the record was deleted since it was read; the next look finds that out."""

NO_PARTY: Final = "no_party"
"""Code of a Transient: what the record must hang on is not in Tryton so far."""

SERVER_ERROR: Final = "server_error"

_FIELD: Final = re.compile(r'field "([^"]+)"')
_MODEL: Final = re.compile(r'access "([^"]+)"')


@dataclass(frozen=True)
class Answer:
    """One HTTP answer. `body` is the JSON value, None for a page; `asked` the model."""

    status: int
    asked: str
    body: Any = field(default=None, repr=False)
    message: str = field(default="", repr=False)
    retry_after: float | None = None


def error_for(answer: Answer) -> RemoteError:
    """The error of an answer that is no success: the first fitting row of ANSWERS."""
    for status, words, build in ANSWERS:
        if status in (answer.status, answer.status // 100) and words.search(answer.message):
            return build(answer)
    return _permanent(answer)


def _reconnect(answer: Answer) -> RemoteError:
    return NeedsReconnect(
        "Tryton refuses the key: make a new one (User > REST API applications) and connect again",
        status=answer.status,
    )


def no_access(model: str, status: int = 0) -> MissingScope:
    """The error where the key's user has no right on a model."""
    return MissingScope(
        f"the key's user may not use {model}: put the user into the group that may",
        scope=model,
        status=status,
        code="no_access",
    )


def _no_access(answer: Answer) -> RemoteError:
    named = _MODEL.search(answer.message)
    return no_access(named[1] if named else answer.asked, answer.status)


def _refused_without_words(answer: Answer) -> RemoteError:
    return Permanent(
        f"Tryton forbids this for {answer.asked} and does not say why", status=answer.status,
        code="forbidden",
    )  # fmt: skip


def _by_rule(answer: Answer) -> RemoteError:
    return Permanent(
        f"a rule of Tryton keeps the key's user from this record of {answer.asked}: change the "
        "rule or the user's companies",
        status=answer.status,
        code="record_rule",
    )


def _gone(answer: Answer) -> RemoteError:
    return Transient(
        f"a record of {answer.asked} was deleted in the meantime", status=answer.status, code=GONE
    )


def _no_such_place(answer: Answer) -> RemoteError:
    return Permanent(
        f"Tryton knows no such database or no record of {answer.asked}: check the address, it "
        "ends with the database's name",
        status=answer.status,
        code="not_found",
    )


def _exists(answer: Answer) -> RemoteError:
    """Tryton does not say which record; the adapter looks for it by our key."""
    return Conflict(
        f"Tryton holds a record of {answer.asked} with this value already",
        existing_id="",
        status=answer.status,
        code="not_unique",
    )


def _rejected(field_name: str) -> Callable[[Answer], RemoteError]:
    def build(answer: Answer) -> RemoteError:
        named = _FIELD.search(answer.message)
        name = field_name or (named[1] if named else "(not named)")
        return DataRejected(
            f"Tryton refuses the field {name} of {answer.asked}: correct the value at its "
            "source, or the mapping",
            field=name,
            status=answer.status,
            code="refused",
        )

    return build


def _transient(answer: Answer) -> RemoteError:
    return Transient(
        f"Tryton answered {answer.status}",
        retry_after=answer.retry_after,
        status=answer.status,
        code=SERVER_ERROR if answer.status == 500 else "busy",
    )


def _permanent(answer: Answer) -> RemoteError:
    return Permanent(
        f"Tryton refused a call for {answer.asked} ({answer.status}): it will do so again",
        status=answer.status,
    )


def _row(
    status: int, words: str, build: Callable[[Answer], RemoteError]
) -> tuple[int, re.Pattern[str], Callable[[Answer], RemoteError]]:
    return status, re.compile(words, re.DOTALL), build


ANSWERS: Final = (
    _row(401, "", _reconnect),
    _row(400, r"must be unique", _exists),
    _row(400, r"not allowed to (create|read|write|delete) .*rules", _by_rule),
    _row(400, r"records .* that don't exist", _gone),
    _row(400, r"not allowed to access", _no_access),
    _row(400, r'^The e-?mail address "', _rejected("email")),
    _row(400, r'^The phone number "', _rejected("phone")),
    _row(400, r"", _rejected("")),
    _row(403, "", _refused_without_words),
    _row(404, "", _no_such_place),
    _row(408, "", _transient),
    _row(429, "", _transient),
    # An unknown field is a 500, too: `prepare` rules it out before anything is written. What is
    # left is looked at again a few times, alone.
    _row(5, "", _transient),
    _row(4, "", _permanent),
)
"""(status or its first digit, what Tryton's English words match, error); the first fit wins."""
