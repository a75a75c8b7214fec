"""The demo as people run it, and what it answers to bad input."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crm_integration.sandbox.generator import generated_table
from crm_integration_tests.cli.demo_process import Answered, command, own_home
from crm_integration_tests.oracle.invoices import expected_totals


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with own_home() as found:
        yield found


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An order book as the generator makes it, as a file."""
    path = tmp_path_factory.mktemp("books") / "book.parquet"
    pq.write_table(generated_table(11, invoices=150, days=5), path)
    return path


@pytest.fixture(scope="module")
def answered(home: Path, book: Path) -> Answered:
    return command(home, "demo", "--orders", str(book), "--json")


@pytest.fixture(scope="module")
def document(answered: Answered) -> dict[str, Any]:
    assert answered.code == 0, answered.err
    return answered.document()


def test_its_totals_equal_an_independent_sum_over_the_file(
    document: dict[str, Any], book: Path
) -> None:
    """A demo that reads its own tables back proves nothing."""
    assert document["totals"] == expected_totals([book])


def test_a_replayed_partition_makes_no_call(document: dict[str, Any]) -> None:
    """What was derived again and did not change is not sent again."""
    assert document["replay"]["records"] > 0
    assert document["replay"]["crm_calls"] == 0
    assert document["replay"]["writes"] == 0


def test_every_tenant_says_what_lies_where(document: dict[str, Any]) -> None:
    """Three merchants, three shops, three accounts; one duplicate pair each is left to a person."""
    assert [one["tenant"] for one in document["tenants"]] == ["aurora", "borealis", "cedar"]
    for one in document["tenants"]:
        assert one["ambiguous"] == 1
        assert one["held"] == one["dead"] == 0
        assert one["crm_records"]["orders"] == one["canonical"]["order"]
        told = one["canonical"]["refund"] + one["canonical"]["activity"]
        assert one["crm_records"]["notes"] == told
        assert one["raw_records"] > 0
        assert one["crm_calls"] > 0
    assert sum(one["adopted"] for one in document["tenants"]) >= 1
    assert len(document["sandbox"]["crm"]) == 3


def test_stdout_holds_one_document_and_nothing_else(answered: Answered) -> None:
    """A library's warning in front of the JSON broke every script that read it."""
    assert answered.out.startswith("{")
    assert answered.out.count("\n") == 1


def _refused(home: Path, *arguments: str) -> str:
    answered = command(home, "demo", *arguments, timeout=60)
    assert answered.code == 1
    assert answered.out == ""
    assert "Traceback" not in answered.err
    return answered.err


def test_a_broken_file_is_refused_with_its_name_and_the_fix(home: Path, tmp_path: Path) -> None:
    """Half a Parquet file must not fill half a shop."""
    path = tmp_path / "broken.parquet"
    path.write_bytes(b"PAR1 and then nothing")

    said = _refused(home, "--orders", str(path))

    assert "broken.parquet" in said
    assert "Parquet" in said


def test_a_missing_column_is_named(home: Path, book: Path, tmp_path: Path) -> None:
    """ "KeyError: 'quantity'" is no answer."""
    path = tmp_path / "short.parquet"
    pq.write_table(pq.read_table(book).drop_columns(["quantity"]), path)

    said = _refused(home, "--orders", str(path))

    assert "quantity" in said
    assert "missing" in said


def test_from_without_a_file_is_refused(home: Path) -> None:
    """The generator's days are its own."""
    assert "--orders" in _refused(home, "--from", "2010-12-01")


def test_an_unknown_currency_is_quarantined_and_the_rest_goes_on(
    home: Path, book: Path, tmp_path: Path
) -> None:
    """One order in a currency that nobody uses must not stop the shop."""
    table = pq.read_table(book)
    numbers = table["invoice_no"].to_pylist()
    chosen = next(one for one in numbers if one[0].isdigit() and numbers.count(one) > 1)
    codes = ["XQX" if one == chosen else "GBP" for one in numbers]
    path = tmp_path / "odd.parquet"
    pq.write_table(table.append_column("currency", pa.array(codes)), path)
    whole = expected_totals([book])

    answered = command(home, "demo", "--orders", str(path), "--json")

    totals = answered.document()["totals"]
    assert totals["orders"] == whole["orders"] - 1
    assert totals["quarantined_invoices"] == whole["quarantined_invoices"] + 1
    assert set(totals["gross_minor"]) == {"GBP"}


def test_a_mapping_with_a_typo_names_file_line_and_fix(
    home: Path, book: Path, tmp_path: Path
) -> None:
    """A mistyped transform once emptied a field in every contact."""
    import shutil

    from crm_integration_tests.cli.demo_process import ROOT

    mappings = tmp_path / "mappings"
    shutil.copytree(ROOT / "mappings", mappings)
    tenant = mappings / "tenants" / "aurora.yaml"
    tenant.write_text(tenant.read_text().replace("pins:", "pinns:"))

    answered = command(
        home, "demo", "--orders", str(book), CRM_INTEGRATION_MAPPINGS=str(mappings), timeout=120
    )

    assert answered.code == 1
    assert "tenants/aurora.yaml:" in answered.err
    assert "pins" in answered.err
