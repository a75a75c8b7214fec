"""ISO 3166-1 alpha-2 codes for the country names an order book writes.

Prevents the failure where a shop serves 'EIRE' in a field that WooCommerce fills with codes.
"""

from __future__ import annotations

_CODES = {
    "Australia": "AU", "Austria": "AT", "Bahrain": "BH", "Belgium": "BE", "Bermuda": "BM",
    "Brazil": "BR", "Canada": "CA", "Channel Islands": "GG", "Cyprus": "CY",
    "Czech Republic": "CZ", "Denmark": "DK", "EIRE": "IE", "Finland": "FI", "France": "FR",
    "Germany": "DE", "Greece": "GR", "Hong Kong": "HK", "Iceland": "IS", "Israel": "IL",
    "Italy": "IT", "Japan": "JP", "Korea": "KR", "Lebanon": "LB", "Lithuania": "LT",
    "Malta": "MT", "Netherlands": "NL", "Nigeria": "NG", "Norway": "NO", "Poland": "PL",
    "Portugal": "PT", "RSA": "ZA", "Saudi Arabia": "SA", "Singapore": "SG", "Spain": "ES",
    "Sweden": "SE", "Switzerland": "CH", "Thailand": "TH", "USA": "US",
    "United Arab Emirates": "AE", "United Kingdom": "GB",
}  # fmt: skip


def country_code(name: str) -> str:
    """The alpha-2 code, or '' for a name that is no country (Unspecified, West Indies, ...)."""
    return _CODES.get(name, "")
