"""Connectors are found by their folders."""

from __future__ import annotations

import pytest

from crm_integration.errors import BadInput
from crm_integration.stores._registry import connector


def test_an_unknown_platform_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadInput, match="woocommerce"):
        connector("nosuchshop")
