"""The graph loads, and tells its story."""

from __future__ import annotations

import dagster as dg

from crm_integration.definitions import defs


def test_the_graph_is_the_way_from_stores_to_crms() -> None:
    """A factory once swallowed an error, and an asset was gone for a week."""
    keys = {key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()}

    listed = ("customers", "products", "orders", "refunds", "shipments", "carts")
    known = (*listed, "companies", "consents", "activities")
    sent = ("companies", "contacts", "products", "orders", "refunds", "carts", "activities")
    assert keys == {
        *(f"store_extracts/{name}" for name in listed),
        *(f"canonical/{name}" for name in known),
        *(f"crm_sync/{name}" for name in sent),
    }


def test_every_asset_has_a_group_a_description_and_columns() -> None:
    """People ask the catalogue before they ask a person."""
    graph = defs.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.group_name == key.path[0]
        assert node.description
        assert "dagster/column_schema" in node.metadata


def test_a_crm_asset_names_the_canonical_field_of_each_crm_field() -> None:
    """ "Where does this value come from" is answered in the UI."""
    node = defs.resolve_asset_graph().get(dg.AssetKey(["crm_sync", "orders"]))
    lineage = node.metadata["dagster/column_lineage"]

    (source,) = lineage.deps_by_column["hs_fulfillment_status"]
    assert source.asset_key == dg.AssetKey(["canonical", "orders"])
    assert source.column_name == "fulfilment_state"


def test_no_check_blocks() -> None:
    """A blocking check stops the neighbours in its own run and nothing in any other run."""
    graph = defs.resolve_asset_graph()
    checks = [graph.get(key) for key in graph.asset_check_keys]

    # Row rules, set rules and drift of nine entities; volume of the three that have traffic;
    # completeness of what is in a CRM, and of parcels.
    assert len(checks) == 9 * 3 + 3 + 8
    assert not any(node.blocking for node in checks)


def test_jobs_are_named_for_what_a_person_wants() -> None:
    """Nobody should have to know which assets a replay needs."""
    for name in ("reconcile", "watch_webhooks", "reconcile_all", "sync_one_tenant_now",
                 "replay_a_window", "send_to_crm", "sweep_abandoned_carts",
                 "prove_completeness", "drain_deliveries"):  # fmt: skip
        assert defs.resolve_job_def(name).description
