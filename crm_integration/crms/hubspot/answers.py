"""What each of HubSpot's answers means for us, as one table.

Prevents a retry of what can never succeed, a dead letter for what only had to wait, and a
customer's e-mail (HubSpot quotes refused values) in a log: our messages name fields and codes.

Shapes (public reference of the v3 objects API): an error is `{"status": "error", "message",
"category", "subCategory"?, "context"?, "errors"?: [{"message", "code"?, "context"?}]}`; a refused
property value comes either in `errors` or as a JSON list at the end of `message`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

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

FIELD_WIDE: Final = frozenset({"PROPERTY_DOESNT_EXIST", "READ_ONLY_VALUE"})
"""Codes that are true of a field in every record, not of one record's value."""

_POLICY_WAIT: Final = {"SECONDLY": 1.0, "TEN_SECONDLY_ROLLING": 10.0, "DAILY": 3600.0}
"""Seconds to wait by `policyName` of a 429 without Retry-After. The daily quota is given back at
midnight of the account's time zone, which we do not know: look again each hour."""

_LOCKED_WAIT: Final = 2.0
"""Documented for 423 (records locked by a large sync): wait at least two seconds."""

_STATUS_OF_CATEGORY: Final = {
    "CONFLICT": 409,
    "OBJECT_ALREADY_EXISTS": 409,
    "OBJECT_NOT_FOUND": 404,
    "MISSING_SCOPES": 403,
    "INVALID_AUTHENTICATION": 401,
    "EXPIRED_AUTHENTICATION": 401,
    "RATE_LIMITS": 429,
    "RATE_LIMIT": 429,
    "INTERNAL_ERROR": 500,
}
"""A record's error inside a 207 has no status of its own; its category stands in for it."""

_WORDS: Final = ("error", "subCategory", "category", "policyName", "errorType")
"""Where an answer carries a code, the most telling first."""

_EXISTING_ID: Final = (
    re.compile(r"Existing ID:\s*(\d+)"),
    re.compile(r"(\d+) already has that value"),
)
_PROPERTY: Final = re.compile(r"""[Pp]roperty ["']([a-z0-9_]+)["']""")


def object_of(value: object) -> Mapping[str, Any]:
    """The value if it is a JSON object, else an empty one."""
    return cast(Mapping[str, Any], value) if isinstance(value, dict) else {}


def list_of(value: object) -> list[Any]:
    """The value if it is a JSON list, else an empty one."""
    return cast(list[Any], value) if isinstance(value, list) else []


@dataclass(frozen=True)
class Answer:
    """One HTTP answer, or a record's own error in a 207. `retry_after` in seconds."""

    status: int
    body: Mapping[str, Any] = field(repr=False)
    retry_after: float | None = None

    @property
    def results(self) -> list[Mapping[str, Any]]:
        """The records of a batch or search answer."""
        return [object_of(item) for item in list_of(self.body.get("results"))]

    @property
    def errors(self) -> list[Mapping[str, Any]]:
        """The errors of a batch answer, or the details of an error."""
        return [object_of(item) for item in list_of(self.body.get("errors"))]

    @property
    def message(self) -> str:
        """HubSpot's own words: may quote personal data, so they never enter an error of ours."""
        return str(self.body.get("message", ""))

    @property
    def words(self) -> list[str]:
        """All codes HubSpot gives, the most telling first: a detail's before the category."""
        own = (self.body.get(name) for name in _WORDS)
        return [str(word) for word in (*(code for code, _ in self._details()), *own) if word]

    @property
    def code(self) -> str:
        """The most telling of `words`, or ""."""
        return next(iter(self.words), "")

    @property
    def field_name(self) -> str:
        """The refused property, or "" if HubSpot does not name one."""
        names = [name for _, name in self._details() if name]
        return names[0] if names else _found((_PROPERTY,), self.message)

    @property
    def existing_id(self) -> str:
        """The record that holds the unique value already, or "" if HubSpot does not say."""
        texts = [self.message, *(str(error.get("message", "")) for error in self.errors)]
        return next((found for text in texts if (found := _found(_EXISTING_ID, text))), "")

    @property
    def scopes(self) -> str:
        """The permissions that are lacking; any one of several is enough."""
        contexts = [object_of(part.get("context")) for part in (self.body, *self.errors)]
        named = ("requiredGranularScopes", "requiredScopes", "missingScopes")
        found = (str(s) for c in contexts for name in named for s in list_of(c.get(name)))
        return " or ".join(dict.fromkeys(found))

    def _details(self) -> Iterator[tuple[str, str]]:
        """(code, property) of each refused value, from `errors` and from the message's list."""
        for detail in (*self.errors, self.body):
            names = list_of(object_of(detail.get("context")).get("propertyName"))
            name = names[0] if names else detail.get("name", "")
            yield str(detail.get("code") or detail.get("error") or ""), str(name or "")
        for detail in _listed(self.message):
            yield str(detail.get("error", "")), str(detail.get("name", ""))


def error_for(answer: Answer) -> RemoteError:
    """The error of an answer that is no success: the first fitting row of ANSWERS."""
    for status, code, build in ANSWERS:
        if status in (answer.status, answer.status // 100) and code in ("", *answer.words):
            return build(answer)
    return _permanent(answer)


def record_error(body: Mapping[str, Any]) -> RemoteError:
    """The error of one record, from an entry of `errors` in a 207."""
    status = _STATUS_OF_CATEGORY.get(str(body.get("category", "")), 400)
    return error_for(Answer(status=status, body=body))


def _reconnect(answer: Answer) -> RemoteError:
    return NeedsReconnect(
        "HubSpot refuses the access token: connect the account again",
        status=answer.status,
        code=answer.code,
    )


def _missing_scope(answer: Answer) -> RemoteError:
    scope = answer.scopes
    return MissingScope(
        f"HubSpot asks for the scope {scope or '(not named)'}: grant it to the app",
        scope=scope,
        status=answer.status,
        code=answer.code,
    )


def _too_many(answer: Answer) -> RemoteError:
    policy = str(answer.body.get("policyName", ""))
    wait = _POLICY_WAIT.get(policy) if answer.retry_after is None else answer.retry_after
    return Transient(
        f"HubSpot's call limit is used up ({policy or 'no policy named'})",
        retry_after=wait,
        status=answer.status,
        code=policy or answer.code,
    )


def _locked(answer: Answer) -> RemoteError:
    wait = _LOCKED_WAIT if answer.retry_after is None else answer.retry_after
    return Transient(
        "HubSpot has locked these records for a moment",
        retry_after=wait,
        status=answer.status,
        code=answer.code,
    )


def _transient(answer: Answer) -> RemoteError:
    return Transient(
        f"HubSpot answered {answer.status}",
        retry_after=answer.retry_after,
        status=answer.status,
        code=answer.code,
    )


def _conflict(answer: Answer) -> RemoteError:
    existing = answer.existing_id
    if not existing:
        return _permanent(answer)
    return Conflict(
        f"HubSpot holds this already as record {existing}: bind to that one",
        existing_id=existing,
        status=answer.status,
        code=answer.code,
    )


def _rejected(answer: Answer) -> RemoteError:
    name = answer.field_name
    return DataRejected(
        f"HubSpot refuses the field {name or '(not named)'} ({answer.code}): "
        "correct the value at its source, or the mapping",
        field=name,
        status=answer.status,
        code=answer.code,
    )


def _permanent(answer: Answer) -> RemoteError:
    return Permanent(
        f"HubSpot refused the call ({answer.status} {answer.code}): it will do so again",
        status=answer.status,
        code=answer.code,
    )


ANSWERS: Final[tuple[tuple[int, str, Callable[[Answer], RemoteError]], ...]] = (
    (401, "", _reconnect),
    (403, "MISSING_SCOPES", _missing_scope),
    (400, "CONFLICTING_UNIQUE_VALUE", _conflict),
    (409, "", _conflict),
    (400, "VALIDATION_ERROR", _rejected),
    (400, "PROPERTY_DOESNT_EXIST", _rejected),
    (408, "", _transient),
    (423, "", _locked),
    (429, "", _too_many),
    (477, "", _transient),
    (5, "", _transient),
    (4, "", _permanent),
)
"""(status or its first digit, one of HubSpot's words or "" for any, error); the first fit wins.
477 (account is being moved between data centres) carries a Retry-After of up to a day."""


def _found(patterns: tuple[re.Pattern[str], ...], text: str) -> str:
    return next((match[1] for pattern in patterns if (match := pattern.search(text))), "")


def _listed(message: str) -> list[Mapping[str, Any]]:
    """`Property values were not valid: [{"error", "name", …}]`, read as the list it holds."""
    start = message.find("[{")
    if start < 0:
        return []
    try:
        value, _ = json.JSONDecoder().raw_decode(message, start)
    except ValueError:
        return []
    return [object_of(item) for item in list_of(value)]
