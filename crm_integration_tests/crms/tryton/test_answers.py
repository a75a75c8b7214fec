"""Tryton's answers, as they were seen, and what each means for us."""

from __future__ import annotations

import pytest

from crm_integration.crms.tryton.answers import Answer, error_for
from crm_integration.errors import (
    Conflict,
    DataRejected,
    MissingScope,
    NeedsReconnect,
    Permanent,
    RemoteError,
    Transient,
)

SEEN: list[tuple[int, str, type[RemoteError], str]] = [
    (401, "", NeedsReconnect, ""),
    (400, "The code on party must be unique.", Conflict, "not_unique"),
    (400, 'You are not allowed to access "Sale Opportunity".\nWithin groups: ', MissingScope,
     "no_access"),
    (400, 'You are not allowed to create records of "Sale" because they fail on at least one of '
     "these rules:\nUser in companies", Permanent, "record_rule"),
    (400, 'You are trying to write to records "77" of "Party Address" that don\'t exist.',
     Transient, "record_gone"),
    (400, 'The value "x" for field "Amount" in record "7" of "Sale Opportunity" is not valid',
     DataRejected, "refused"),
    (400, 'You are not allowed to modify the field "Amount" of "Sale Opportunity".',
     DataRejected, "refused"),
    (403, "", Permanent, "forbidden"),
    (404, "", Permanent, "not_found"),
    (429, "", Transient, "busy"),
    (500, "", Transient, "server_error"),
    (503, "", Transient, "busy"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "message", "error", "code"), SEEN)
def test_each_answer_seen_means_one_thing(
    status: int, message: str, error: type[RemoteError], code: str
) -> None:
    """A missing permission comes as 400, like a bad value: retried, it fails for ever."""
    found = error_for(Answer(status, "sale.opportunity", message=message))
    assert (type(found), found.code, found.status) == (error, code, status)


def test_no_message_of_trytons_travels_in_ours() -> None:
    """Tryton quotes the refused e-mail with the party's name; errors are logged."""
    said = 'The email address "ada@example.com" for party "Ada" is not valid.'
    error = error_for(Answer(400, "party.party", message=said))
    assert isinstance(error, DataRejected)
    assert error.field == "email"
    assert "ada" not in str(error).lower()


def test_the_field_and_the_model_are_named() -> None:
    """Who must act has to know where."""
    refused = error_for(Answer(400, "ir.note", message='A value is required for field "Resource"'))
    assert isinstance(refused, DataRejected)
    assert refused.field == "Resource"
    lacking = error_for(Answer(400, "x", message='You are not allowed to access "Party".'))
    assert isinstance(lacking, MissingScope)
    assert lacking.scope == "Party"
