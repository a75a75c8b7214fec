"""Each answer of HubSpot's becomes the error that says what to do next."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crm_integration.crms.hubspot.answers import ANSWERS, Answer, error_for, record_error
from crm_integration.errors import (
    Conflict,
    DataRejected,
    MissingScope,
    NeedsReconnect,
    Permanent,
    RemoteError,
    Transient,
)

LISTED = json.dumps([{"isValid": False, "error": "INVALID_EMAIL", "name": "email"}])
SCOPES = {"context": {"requiredGranularScopes": ["crm.objects.orders.write"]}}
TABLE: list[tuple[int, dict[str, Any], type[RemoteError], dict[str, Any]]] = [
    (401, {"category": "INVALID_AUTHENTICATION"}, NeedsReconnect, {}),
    (401, {"category": "EXPIRED_AUTHENTICATION"}, NeedsReconnect, {}),
    (
        403,
        {"category": "MISSING_SCOPES", "errors": [SCOPES]},
        MissingScope,
        {"scope": "crm.objects.orders.write"},
    ),
    (403, {"category": "USER_DOES_NOT_HAVE_PERMISSIONS"}, Permanent, {}),
    (
        400,
        {"category": "VALIDATION_ERROR", "message": f"Property values were not valid: {LISTED}"},
        DataRejected,
        {"field": "email", "code": "INVALID_EMAIL"},
    ),
    (
        400,
        {
            "category": "VALIDATION_ERROR",
            "errors": [{"code": "PROPERTY_DOESNT_EXIST", "context": {"propertyName": ["tier"]}}],
        },
        DataRejected,
        {"field": "tier", "code": "PROPERTY_DOESNT_EXIST"},
    ),
    (
        400,
        {"category": "PROPERTY_DOESNT_EXIST", "message": 'Property "tier" does not exist'},
        DataRejected,
        {"field": "tier"},
    ),
    (
        400,
        {
            "category": "VALIDATION_ERROR",
            "errors": [
                {
                    "code": "CONFLICTING_UNIQUE_VALUE",
                    "message": "Cannot set ci_key on 7. 42 already has that value.",
                    "context": {"propertyName": ["ci_key"]},
                }
            ],
        },
        Conflict,
        {"existing_id": "42"},
    ),
    (400, {"category": "MALFORMED"}, Permanent, {}),
    (404, {"category": "OBJECT_NOT_FOUND"}, Permanent, {"code": "OBJECT_NOT_FOUND"}),
    (
        409,
        {"category": "CONFLICT", "message": "Contact already exists. Existing ID: 216799"},
        Conflict,
        {"existing_id": "216799"},
    ),
    (409, {"category": "CONFLICT", "message": "Something clashes"}, Permanent, {}),
    (413, {}, Permanent, {"status": 413}),
    (415, {}, Permanent, {}),
    (408, {}, Transient, {}),
    (423, {"category": "LOCKED"}, Transient, {"retry_after": 2.0}),
    (429, {"policyName": "DAILY"}, Transient, {"retry_after": 3600.0, "code": "DAILY"}),
    (429, {"policyName": "TEN_SECONDLY_ROLLING"}, Transient, {"retry_after": 10.0}),
    (429, {"policyName": "SECONDLY"}, Transient, {"retry_after": 1.0}),
    (429, {}, Transient, {"retry_after": None}),
    (477, {}, Transient, {}),
    (500, {}, Transient, {"status": 500}),
    (502, {}, Transient, {}),
    (503, {}, Transient, {}),
    (504, {}, Transient, {}),
    (524, {}, Transient, {}),
    (302, {}, Permanent, {}),
]


@pytest.mark.parametrize(("status", "body", "kind", "carried"), TABLE)
def test_every_answer_has_its_error(
    status: int, body: dict[str, Any], kind: type[RemoteError], carried: dict[str, Any]
):
    """A wrong row here is a record that is given up, or one that is retried for ever."""
    error = error_for(Answer(status, body))
    assert type(error) is kind
    for name, value in {"status": status, **carried}.items():
        assert getattr(error, name) == value


def test_no_row_of_the_table_goes_untried():
    """A new row without a case above would be a guess."""
    tried = [(status, Answer(status, body).words) for status, body, _, _ in TABLE]
    for status, code, _ in ANSWERS:
        assert any(status in (got, got // 100) and code in ("", *known) for got, known in tried), (
            f"no case for {status} {code}"
        )


def test_retry_after_of_the_answer_wins_over_our_own_figure():
    """The daily quota came back after 40 s; waiting an hour lost the merchant a morning."""
    error = error_for(Answer(429, {"policyName": "DAILY"}, retry_after=40.0))
    assert isinstance(error, Transient)
    assert error.retry_after == 40.0


@pytest.mark.parametrize(
    ("category", "kind"),
    [
        ("VALIDATION_ERROR", DataRejected),
        ("OBJECT_NOT_FOUND", Permanent),
        ("RATE_LIMITS", Transient),
        ("INTERNAL_ERROR", Transient),
        ("MISSING_SCOPES", MissingScope),
        ("NEVER_SEEN_BEFORE", Permanent),
    ],
)
def test_an_error_inside_a_207_is_judged_by_its_category(category: str, kind: type[RemoteError]):
    """It has no status of its own."""
    assert type(record_error({"category": category, "message": "no"})) is kind


def test_what_hubspot_quotes_never_enters_our_message():
    """HubSpot repeats the refused e-mail address; error messages go to logs and alerts."""
    quoted = json.dumps([{"message": "ann@example.com is no e-mail", "name": "email"}])
    body = {"category": "VALIDATION_ERROR", "message": f"Property values were not valid: {quoted}"}
    assert "ann@" not in str(error_for(Answer(400, body)))
    assert "ann@" not in repr(Answer(400, body))


def test_an_error_inside_a_207_names_its_field():
    """There the property stands in the context and the code in the sub-category."""
    error = record_error({
        "category": "VALIDATION_ERROR",
        "subCategory": "INVALID_EMAIL",
        "message": "no",
        "context": {"objectWriteTraceId": ["4"], "propertyName": ["email"]},
    })  # fmt: skip
    assert isinstance(error, DataRejected)
    assert (error.field, error.code) == ("email", "INVALID_EMAIL")


@pytest.mark.parametrize("broken", [None, [], "text", {"propertyName": "x"}, {"propertyName": []}])
def test_an_error_body_of_another_shape_still_gives_an_error(broken: object):
    """A proxy's own JSON page must not raise KeyError in the middle of a batch."""
    body = {"category": "VALIDATION_ERROR", "errors": [{"context": broken}, "text", None]}
    assert isinstance(error_for(Answer(400, body)), DataRejected)
