"""English country names by code, as Shopify writes them beside the code.

Prevents the failure where an address says EIRE: the book's own spelling stays in the book.
"""

from __future__ import annotations

from collections.abc import Mapping

COUNTRY_NAMES: Mapping[str, str] = {
    "AE": "United Arab Emirates", "AT": "Austria", "AU": "Australia", "BE": "Belgium",
    "BH": "Bahrain", "BM": "Bermuda", "BR": "Brazil", "CA": "Canada", "CH": "Switzerland",
    "CY": "Cyprus", "CZ": "Czechia", "DE": "Germany", "DK": "Denmark", "ES": "Spain",
    "FI": "Finland", "FR": "France", "GB": "United Kingdom", "GG": "Guernsey", "GR": "Greece",
    "HK": "Hong Kong SAR", "IE": "Ireland", "IL": "Israel", "IS": "Iceland", "IT": "Italy",
    "JP": "Japan", "KR": "South Korea", "LB": "Lebanon", "LT": "Lithuania", "MT": "Malta",
    "NG": "Nigeria", "NL": "Netherlands", "NO": "Norway", "PL": "Poland", "PT": "Portugal",
    "SA": "Saudi Arabia", "SE": "Sweden", "SG": "Singapore", "TH": "Thailand",
    "US": "United States", "ZA": "South Africa",
}  # fmt: skip
