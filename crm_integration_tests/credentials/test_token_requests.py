"""What vendors say when they give no token, and what each of their words means."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import respx

from crm_integration.credentials import token_requests
from crm_integration.credentials.logins import OAuthLogin
from crm_integration.errors import BadInput, NeedsReconnect, Permanent, Transient

LOGIN = OAuthLogin(token="{base_url}/oauth/token")
APP = {"client_id": "app", "client_secret": "s3cret"}
SECRETS = {**APP, "refresh_token": "r-1", "access_token": "a-1"}
SHOP = "https://vendor.example"


def _renew(answer: httpx.Response, login: OAuthLogin = LOGIN) -> token_requests.Tokens:
    with respx.mock() as router:
        router.post(f"{SHOP}/oauth/token").mock(return_value=answer)
        return token_requests.renew(login, SHOP, SECRETS)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": "invalid_grant", "error_description": "expired access/refresh token"}),
        (400, {"status": "BAD_REFRESH_TOKEN", "message": "missing or invalid refresh token"}),
        (400, {"category": "VALIDATION_ERROR", "subCategory": "INVALID_TOKEN"}),
        (200, {"error": "invalid_code"}),
    ],
)
def test_a_login_that_was_taken_back_needs_a_person(status: int, body: dict[str, Any]) -> None:
    """Salesforce and RFC 6749, HubSpot twice, Zoho with a 200."""
    with pytest.raises(NeedsReconnect) as refused:
        _renew(httpx.Response(status, json=body))
    assert refused.value.code == "revoked"


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(503, headers={"Retry-After": "7"}),
        httpx.Response(429, json={"error": "rate_limited"}),
        httpx.Response(500, text="<html>"),
        httpx.Response(302, headers={"Location": "https://elsewhere.example"}),
        httpx.Response(200, text="no json"),
        httpx.Response(200, json={"token_type": "bearer"}),
        httpx.Response(200, json=[]),
    ],
)
def test_whatever_may_pass_is_tried_again(answer: httpx.Response) -> None:
    """A server's hiccup that was taken for a revoked login called a merchant for nothing."""
    with pytest.raises(Transient) as refused:
        _renew(answer)
    assert refused.value.retry_after == (7.0 if answer.status_code == 503 else None)


@pytest.mark.parametrize("word", ["invalid_client", "unauthorized_client"])
def test_an_unknown_app_is_not_the_merchants_fault(word: str) -> None:
    with pytest.raises(Permanent, match="client id and secret"):
        _renew(httpx.Response(401, json={"error": word}))


def test_what_is_kept_of_an_answer() -> None:
    """A vendor that rotates gives a new refresh token; one that does not leaves the old one."""
    rotated = _renew(
        httpx.Response(
            200, json={"access_token": "a-2", "refresh_token": "r-2", "expires_in": 3600}
        )
    )
    stays = _renew(httpx.Response(200, json={"access_token": "a-3"}))
    said = _renew(
        httpx.Response(200, json={"access_token": "a-4"}),
        LOGIN.model_copy(update={"lifetime_seconds": 7200.0}),
    )

    assert rotated.into(SECRETS) == {**SECRETS, "access_token": "a-2", "refresh_token": "r-2"}
    assert stays.into(SECRETS) == {**SECRETS, "access_token": "a-3"}
    assert 3590 < (rotated.lives or 0) <= 3600
    assert stays.lives is None
    assert 7190 < (said.lives or 0) <= 7200


def test_secrets_travel_in_the_body_alone() -> None:
    """What stands in an address ends in somebody's log."""
    with respx.mock() as router:
        asked = router.post(f"{SHOP}/oauth/token").mock(
            return_value=httpx.Response(200, json={"access_token": "a-2"})
        )
        token_requests.renew(LOGIN, SHOP, SECRETS)
    request = asked.calls[0].request
    assert str(request.url) == f"{SHOP}/oauth/token"
    assert b"s3cret" in request.content
    assert "s3cret" not in str(request.headers)


def test_a_token_endpoint_without_tls_is_refused() -> None:
    with pytest.raises(BadInput, match="use https"):
        token_requests.renew(LOGIN, "http://vendor.example", SECRETS)


def test_nothing_a_vendor_says_is_repeated() -> None:
    """An error's description held an e-mail address."""
    with pytest.raises(NeedsReconnect) as refused:
        _renew(
            httpx.Response(
                400, json={"error": "invalid_grant", "error_description": "ada@example.com left"}
            )
        )
    assert "ada" not in str(refused.value)
