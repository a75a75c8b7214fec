"""Released mappings never change, and the editors' schemas know what the loader knows."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import yaml

from crm_integration.mapping.field_spec import KEYS
from crm_integration.mapping.load import load_mapping, object_types, versions
from crm_integration.mapping.model import CRM_KINDS, OBJECT_TYPES, OWNERS, RULES
from crm_integration.mapping.paths import mappable_entities
from crm_integration.mapping.transforms import TRANSFORMS
from crm_integration_tests.mapping.views import MAPPINGS


def released() -> dict[str, str]:
    lines = (MAPPINGS / "released.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split() for line in lines if line and not line.startswith("#")]
    return {path: digest for path, digest in pairs}


def test_a_released_mapping_is_never_changed() -> None:
    """An edited v1 makes every write that names v1 a lie."""
    for path, digest in released().items():
        found = hashlib.sha256((MAPPINGS / path).read_bytes()).hexdigest()
        assert found == digest, f"{path} was changed: undo that and make the next version instead"


def test_every_mapping_file_is_listed_as_released() -> None:
    """A version that tenants can pin but nobody guards would change under them."""
    there = {str(path.relative_to(MAPPINGS)) for path in MAPPINGS.glob("*/*/v*.yaml")}
    assert there == set(released()), "add `path sha256` of the new file to mappings/released.txt"


def test_a_mappings_digest_is_its_files() -> None:
    """Writes name the digest; it must be the one anyone can compute with sha256sum."""
    for object_type in object_types(MAPPINGS, "hubspot"):
        for version in versions(MAPPINGS, "hubspot", object_type):
            mapping = load_mapping(MAPPINGS, "hubspot", object_type, version)
            assert released()[mapping.path] == mapping.digest
            assert mapping.id == f"hubspot/{object_type}/v{version}"


def schema(name: str) -> dict[str, Any]:
    return json.loads((MAPPINGS / "schema" / name).read_text(encoding="utf-8"))


def test_the_editors_schema_knows_every_word_the_loader_knows() -> None:
    """An editor that underlines a valid transform is switched off, with all its help."""
    mapping = schema("mapping.schema.json")
    field = mapping["$defs"]["field"]["properties"]
    assert set(field) == set(KEYS)
    assert set(field["transform"]["enum"]) == set(TRANSFORMS)
    assert field["owner"]["enum"] == list(OWNERS)
    assert field["rule"]["enum"] == list(RULES)
    assert field["kind"]["enum"] == list(CRM_KINDS)
    assert mapping["properties"]["entity"]["enum"] == list(mappable_entities())
    assert mapping["properties"]["object"]["enum"] == list(OBJECT_TYPES)
    assert mapping["properties"]["associations"]["items"]["properties"]["to"]["enum"] == list(
        OBJECT_TYPES
    )
    tenant = schema("tenant.schema.json")["properties"]
    assert tenant["pins"]["propertyNames"]["enum"] == list(OBJECT_TYPES)
    assert tenant["overrides"]["propertyNames"]["enum"] == list(OBJECT_TYPES)
    override = tenant["overrides"]["additionalProperties"]
    assert override["additionalProperties"]["properties"] == field


def test_the_readme_names_every_transform_and_rule() -> None:
    """The README is where a person looks before asking."""
    text = (MAPPINGS / "README.md").read_text(encoding="utf-8")
    words = (*TRANSFORMS, *RULES, *OBJECT_TYPES, *mappable_entities())
    assert [word for word in words if f"`{word}`" not in text] == []


def test_the_readmes_examples_are_accepted(tmp_path: Any) -> None:
    """An example that does not load costs the first hour of everyone who copies it."""
    from crm_integration_tests.mapping.views import parsed

    blocks = (MAPPINGS / "README.md").read_text(encoding="utf-8").split("```yaml\n")[1:]
    texts = [block.split("```")[0] for block in blocks]
    assert list(parsed(texts[0], head="").fields) == ["email", "ci_store"]
    assert yaml.safe_load(texts[1])["tenant"] == "borealis"
