"""`crm-integration sandbox`: emulated stores and CRMs to try a connector against."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from crm_integration.sandbox.server import Sandbox


def sandbox(
    orders: Annotated[Path | None, typer.Option(help="Order book (Parquet).")] = None,
    seconds: Annotated[float, typer.Option(help="How long it stays up.")] = 3_600,
) -> None:
    """Three shops and three CRMs on loopback, filled, until interrupted. Prints how to enter."""
    with Sandbox.start(max_life_seconds=seconds) as running:
        running.load(orders)
        print(
            json.dumps(
                {
                    "shops": {name: asdict(shop) for name, shop in running.shops.items()},
                    "crms": {name: asdict(crm) for name, crm in running.crms.items()},
                },
                indent=1,
            ),
            flush=True,
        )
        time.sleep(seconds)
