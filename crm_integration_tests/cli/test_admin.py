"""Merchants and accounts from the command line, on a database of one's own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from crm_integration.sandbox.server import Sandbox
from crm_integration.storage.embedded import EmbeddedServer
from crm_integration_tests.cli.demo_process import ROOT, Answered, command, environment, own_home


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with own_home() as found:
        yield found
        EmbeddedServer(found).stop()


def _with_secrets(home: Path, secrets: dict[str, str], *arguments: str) -> Answered:
    done = subprocess.run(
        [sys.executable, "-c", "from crm_integration.cli import app; app()", *arguments],
        input=json.dumps(secrets), capture_output=True, text=True, timeout=60,
        env=environment(home), cwd=ROOT, check=False,
    )  # fmt: skip
    return Answered(done.returncode, done.stdout, done.stderr)


def test_a_merchant_is_added_and_both_accounts_are_connected(home: Path) -> None:
    """The way a data engineer goes after `dev`: tenant, store, CRM."""
    assert command(home, "tenant", "add", "aurora", "--since", "2020-01-01").code == 0
    with Sandbox.start({"aurora": "woocommerce"}) as sandbox:
        shop, crm = sandbox.shops["aurora"], sandbox.crms["aurora"]
        keys = shop.secrets
        token = {"access_token": crm.token}
        store = _with_secrets(home, keys, "connection", "add", "aurora", "store", "woocommerce",
                              shop.base_url, "--secrets-stdin")  # fmt: skip
        account = _with_secrets(home, token, "connection", "add", "aurora", "crm", "hubspot",
                                crm.base_url, "--secrets-stdin")  # fmt: skip

    assert (store.code, account.code) == (0, 0), store.err + account.err
    listed = command(home, "connection", "list", "aurora").out
    assert "woocommerce" in listed
    assert str(crm.portal_id) in listed
    assert crm.token not in listed
    assert "aurora" in command(home, "tenant", "list").out


def test_an_account_with_a_wrong_key_is_not_kept(home: Path) -> None:
    """A connection that never worked is found out when it is made, not at night."""
    command(home, "tenant", "add", "borealis", "--since", "2020-01-01")
    with Sandbox.start({"borealis": "woocommerce"}) as sandbox:
        refused = _with_secrets(
            home, {"access_token": "pat-wrong"}, "connection", "add", "borealis", "crm",
            "hubspot", sandbox.crms["borealis"].base_url, "--secrets-stdin",
        )  # fmt: skip

    assert refused.code == 1
    assert "Traceback" not in refused.err
    assert "pat-wrong" not in refused.err
    assert command(home, "connection", "list", "borealis").out == ""


def test_an_unreachable_shop_is_named(home: Path) -> None:
    """Port 9 answers nobody."""
    command(home, "tenant", "add", "cedar", "--since", "2020-01-01")
    keys = {"consumer_key": "ck", "consumer_secret": "cs"}
    refused = _with_secrets(home, keys, "connection", "add", "cedar", "store", "woocommerce",
                            "http://127.0.0.1:9", "--secrets-stdin")  # fmt: skip

    assert refused.code == 1
    assert "127.0.0.1" in refused.err


def test_plain_http_beyond_this_machine_is_refused(home: Path) -> None:
    """Basic authentication over http is a published password."""
    keys = {"consumer_key": "ck", "consumer_secret": "cs"}
    refused = _with_secrets(home, keys, "connection", "add", "cedar", "store", "woocommerce",
                            "http://shop.example", "--secrets-stdin")  # fmt: skip

    assert refused.code == 1
    assert "https" in refused.err


def test_another_name_is_not_found(home: Path) -> None:
    """What does not exist and what belongs to others answer alike."""
    refused = command(home, "holds", "nobody")

    assert refused.code == 1
    assert "tenant list" in refused.err


def test_releasing_where_nothing_is_held_says_so(home: Path) -> None:
    """A person who types the wrong type must not believe it is done."""
    command(home, "tenant", "add", "dune", "--since", "2020-01-01")

    refused = command(home, "holds", "dune", "--release", "contact")

    assert refused.code == 1
    assert "nothing to release" in refused.err
