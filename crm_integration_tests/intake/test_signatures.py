"""Who holds the secret is believed, in each of the ways in which platforms sign."""

from __future__ import annotations

import base64
import hmac
import json
from hashlib import sha256
from typing import Any

import pytest
from pydantic import ValidationError

from crm_integration.intake.signatures import is_signed, is_usable
from crm_integration.stores._registry import connector, platforms
from crm_integration.stores._signing import WebhookSigning
from crm_integration_tests.intake.receiving import signature
from crm_integration_tests.shared_data import SHARED

BODY = b'{"id": 1}'
SECRET = "a secret of some length"
WOO = connector("woocommerce").manifest.webhooks
VENDURE = WebhookSigning(scheme="hmac_sha256", header="x-signature", chosen_by="us")
MEDUSA = WebhookSigning(scheme="hmac_sha256", header="x-signature", encoding="hex", chosen_by="us")
GITHUB = WebhookSigning(
    scheme="hmac_sha256", header="x-hub", encoding="hex", prefix="sha256=", chosen_by="us"
)
STANDARD = WebhookSigning(scheme="standard_webhooks", chosen_by="us", key_form="base64")
BIGCOMMERCE = WebhookSigning(scheme="standard_webhooks", chosen_by="platform")
SHARED_HEADER = WebhookSigning(scheme="shared_header", header="x-secret", chosen_by="us")


def _hex(secret: str = SECRET) -> str:
    return hmac.digest(secret.encode(), BODY, sha256).hex()


def _standard(key: bytes, message: str = "msg_1", when: str = "1700000000") -> dict[str, str]:
    content = b".".join((message.encode(), when.encode(), BODY))
    made = base64.b64encode(hmac.digest(key, content, sha256)).decode()
    return {"webhook-id": message, "webhook-timestamp": when, "webhook-signature": f"v1,{made}"}


KEY = bytes(range(32))
WHSEC = "whsec_" + base64.b64encode(KEY).decode()
GOOD: list[tuple[WebhookSigning, str, dict[str, str]]] = [
    (VENDURE, SECRET, {"x-signature": signature(BODY, SECRET)}),
    (GITHUB, SECRET, {"x-hub": f"sha256={_hex()}"}),
    (GITHUB, SECRET, {"x-hub": f"sha256={_hex().upper()}"}),
    (STANDARD, WHSEC, _standard(KEY)),
    (STANDARD, WHSEC.removeprefix("whsec_"), _standard(KEY)),
    (BIGCOMMERCE, SECRET, _standard(SECRET.encode())),
    (SHARED_HEADER, SECRET, {"x-secret": SECRET}),
]


@pytest.mark.parametrize(("signing", "secret", "headers"), GOOD)
def test_each_way_of_signing_is_known(
    signing: WebhookSigning, secret: str, headers: dict[str, str]
) -> None:
    assert is_signed(signing, [secret], headers, BODY)
    assert is_signed(signing, ["an older secret of ours", secret], headers, BODY)


@pytest.mark.parametrize(("signing", "secret", "headers"), GOOD)
def test_no_secret_a_wrong_one_and_an_empty_one_are_refused(
    signing: WebhookSigning, secret: str, headers: dict[str, str]
) -> None:
    """An HMAC under an empty key can be made by everybody."""
    wrong = base64.b64encode(b"w" * 32).decode()
    for held in ([], [""], ["whsec_"], [wrong], [secret + "AAAA"]):
        assert not is_signed(signing, held, headers, BODY), held


@pytest.mark.parametrize(("signing", "secret", "headers"), GOOD)
def test_whatever_is_changed_or_missing_is_refused(
    signing: WebhookSigning, secret: str, headers: dict[str, str]
) -> None:
    presented = headers[signing.presented_in]
    for value in (
        "",
        " ",
        presented[:-1],
        presented + "x",
        "v1,",
        "v2" + presented,
        "\xe9",
        "sha256=",
    ):
        assert not is_signed(signing, [secret], {**headers, signing.presented_in: value}, BODY)
    assert not is_signed(signing, [secret], {}, BODY)
    if signing.scheme != "shared_header":
        assert not is_signed(signing, [secret], headers, BODY + b" ")


def test_under_an_empty_key_nobody_signs() -> None:
    empty = base64.b64encode(hmac.digest(b"", BODY, sha256)).decode()
    assert not is_signed(VENDURE, [""], {"x-signature": empty}, BODY)
    assert not is_usable(STANDARD, "whsec_not base64!")
    assert is_usable(STANDARD, WHSEC)


@pytest.mark.parametrize(
    "change", [{"webhook-id": "msg_2"}, {"webhook-timestamp": "1700000001"}, {"webhook-id": ""}]
)
def test_id_and_time_are_signed_too(change: dict[str, str]) -> None:
    """With another id an old delivery would pass for a new one."""
    assert not is_signed(STANDARD, [WHSEC], {**_standard(KEY), **change}, BODY)


def test_parts_cannot_be_shifted_into_each_other() -> None:
    """`a.1` + `2` + body and `a` + `1` + `2.body` are the same bytes."""
    signed = {**_standard(KEY, message="a", when="1")}
    moved = {**signed, "webhook-id": "a.1", "webhook-timestamp": "2"}
    content = b"a.1.2." + BODY
    made = base64.b64encode(hmac.digest(KEY, content, sha256)).decode()
    moved["webhook-signature"] = f"v1,{made}"
    assert not is_signed(STANDARD, [WHSEC], moved, BODY)
    assert not is_signed(STANDARD, [WHSEC], _standard(KEY, when="1.5"), BODY)


def test_one_of_several_signatures_is_enough_and_a_thousand_are_not_tried() -> None:
    """A sender rotates, too; and a header of 30 KB is no reason to compute."""
    headers = _standard(KEY)
    good = headers["webhook-signature"]
    several = {**headers, "webhook-signature": f"v1a,xyz v1,AAAA {good}"}
    assert is_signed(STANDARD, [WHSEC], several, BODY)
    many = {**headers, "webhook-signature": "v1,AAAA " * 1_000 + good}
    assert not is_signed(STANDARD, [WHSEC], many, BODY)


def test_a_delivery_of_last_year_is_not_refused_for_its_age() -> None:
    """Our clock jumped, and every good delivery was refused; a replay is told by its identity."""
    assert is_signed(STANDARD, [WHSEC], _standard(KEY, when="1"), BODY)


def _recordings(platform: str) -> list[dict[str, Any]]:
    if SHARED is None:
        return []
    folder = SHARED / "payloads" / platform / "webhooks"
    return [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]


@pytest.mark.parametrize(
    ("platform", "signing", "secret", "recorded", "unsigned"),
    [
        ("woocommerce", WOO, "whsec_realstore_woo", 33, 1),
        ("vendure", VENDURE, "whsec_realstore_vendure", 41, 0),
        ("medusa", MEDUSA, "whsec_medusa", 14, 0),
    ],
)
def test_recordings_of_real_stores_fit_their_secret(
    platform: str, signing: WebhookSigning, secret: str, recorded: int, unsigned: int
) -> None:
    """What we think a platform signs is what it signs."""
    recordings = _recordings(platform)
    if not recordings:
        pytest.skip("the recordings are not on this machine")
    assert len(recordings) == recorded
    refused = 0
    for one in recordings:
        headers = {name.lower(): value for name, value in one["headers"]}
        body = base64.b64decode(one["body_b64"])
        refused += not is_signed(signing, [secret], headers, body)
        assert not is_signed(signing, [secret + "x"], headers, body)
        assert not is_signed(signing, [secret], headers, body + b" ")
    assert refused == unsigned


@pytest.mark.parametrize("platform", platforms())
def test_every_platform_declares_how_it_signs(platform: str) -> None:
    """One that declares nothing has all its deliveries refused."""
    signing = connector(platform).manifest.webhooks
    assert signing is not None
    if signing.scheme != "secret_path":
        assert not is_signed(signing, [SECRET], {}, BODY)


@pytest.mark.parametrize(
    "wrong",
    [
        {"scheme": "secret_path", "chosen_by": "us"},
        {"scheme": "hmac_sha256", "chosen_by": "nobody", "header": "x"},
        {"scheme": "hmac_sha256", "chosen_by": "us"},
        {"scheme": "hmac_sha256", "chosen_by": "us", "header": "X-Upper"},
        {"scheme": "standard_webhooks", "chosen_by": "us", "header": "x"},
        {"scheme": "trust_me", "chosen_by": "us"},
    ],
)
def test_a_declaration_that_would_check_nothing_is_refused(wrong: dict[str, str]) -> None:
    """A typing error in a manifest opened the door."""
    with pytest.raises(ValidationError):
        WebhookSigning.model_validate(wrong)
