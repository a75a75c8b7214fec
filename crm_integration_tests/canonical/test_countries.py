"""Countries as shops write them."""

from __future__ import annotations

import pytest

from crm_integration.canonical.countries import country_code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("EIRE", "IE"), ("Ireland", "IE"), ("ie", "IE"), ("RSA", "ZA"), ("South Africa", "ZA"),
        ("Channel Islands", "GG"), ("Korea", "KR"), ("United  Kingdom", "GB"), ("UK", "GB"),
        ("USA", "US"), ("Hong Kong", "HK"), ("Czech Republic", "CZ"), ("Deutschland", None),
        ("Unspecified", None), ("European Community", None), ("", None), ("EU", None),
        ("ZZ", None), ("XX", None),
    ],
)  # fmt: skip
def test_one_country_has_one_code(text: str, code: str | None) -> None:
    """EIRE, Ireland and ie as three countries split one customer's addresses."""
    assert country_code(text) == code
