"""Refusals of the loader: each names file, line and fix."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_integration.errors import BadMapping
from crm_integration.mapping.compile import compile_mapping
from crm_integration.mapping.load import load_mapping, parse_mapping
from crm_integration.mapping.paths import canonical_paths
from crm_integration_tests.mapping.views import GOOD, HEAD, MAPPINGS, parsed

ODD = [
    *(b"", b"null", b"[]", b"{}", b"[[]]", b"{a: {b: 1}}", b"1", b"true", b".inf", b"''", b"*a"),
    *(b"!!int 3", b"? [a]", b"~", b"- ", b"{1: 2}", b"\xff", b"\t", b"9" * 5000, b"'", b"#"),
]


def refusal(body: str, head: str = HEAD) -> BadMapping:
    with pytest.raises(BadMapping) as caught:
        parsed(body, head)
    return caught.value


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ("{from: emial, transform: email, owner: store, rule: fill_empty, kind: text}",
         "Did you mean 'email'?"),
        ("{from: email, transform: emial, owner: store, rule: fill_empty, kind: text}",
         "Did you mean 'email'?"),
        ("{from: email, transform: email, owner: stroe, rule: fill_empty, kind: text}",
         "Did you mean 'store'?"),
        ("{from: email, transform: email, owner: store, rule: fil_empty, kind: text}",
         "Did you mean 'fill_empty'?"),
        ("{from: email, transform: email, owner: store, rule: fill_empty, kind: txt}",
         "Did you mean 'text'?"),
        ("{from: email, transform: email, owner: store, rule: fill_empty, knid: text}",
         "Did you mean 'kind'?"),
        ("{from: email, transform: email, owner: crm, rule: overwrite, kind: text}",
         "contradict"),
        ("{from: email, transform: integer, owner: store, rule: overwrite, kind: number}",
         "does not take 'email' (text)"),
        ("{from: orders_count, transform: integer, owner: store, rule: overwrite, kind: text}",
         "does not give kind 'text'"),
        ("{from: addresses, transform: text, owner: store, rule: overwrite, kind: text}",
         "no path 'addresses'"),
        ("{from: billing, transform: text, owner: store, rule: overwrite, kind: text}",
         "no path 'billing'"),
        ("{from: email.__class__, transform: text, owner: store, rule: overwrite, kind: text}",
         "no path"),
        ("{from: email, transform: truncate, owner: store, rule: overwrite, kind: text}",
         "needs the option 'max'"),
        ("{from: email, transform: text, options: {max: 3}, owner: store, rule: overwrite,"
         " kind: text}", "option 'max' is unknown"),
        ("{from: [], transform: text, owner: store, rule: overwrite, kind: text}", "is empty"),
        ("{from: email, value: x, transform: text, owner: store, rule: overwrite, kind: text}",
         "only one"),
        ("{value: .nan, owner: store, rule: overwrite, kind: number}", "is no number"),
        ("{value: 'yes', owner: store, rule: overwrite, kind: bool}", "is no bool"),
        ("{from: lifecycle_stage, transform: text, owner: store, rule: never_regress, kind: enum}",
         "needs 'order'"),
        ("{from: lifecycle_stage, transform: enum_map, options: {map: {lead: a}}, owner: store,"
         " rule: overwrite, kind: enum}", "leaves out ['customer', 'opportunity', 'repeat']"),
        ("{from: lifecycle_stage, transform: enum_map, options: {map: {lead: a}, default: b},"
         " owner: store, rule: never_regress, order: [b], kind: enum}", "does not hold"),
        ("{from: email_consent, transform: text, owner: store, rule: overwrite, kind: text}",
         "a consent is not written by rule 'overwrite'"),
        ("{from: email_consent, transform: upper, owner: store, rule: consent, kind: text}",
         "with transform 'text'"),
        ("{from: email, transform: text, owner: store, rule: consent, kind: text}",
         "needs a consent"),
        ("{value: subscribed, owner: store, rule: consent, kind: text}", "is no constant"),
        ("{from: email_consent, transform: text, owner: store, rule: consent, kind: text,"
         " opt_out: email}", "its opt-out 'email' is mapped, too"),
        ("{from: email_consent, transform: text, owner: store, rule: consent, kind: text,"
         " opt_out: 'no name'}", "is not a CRM field name"),
        ("{from: email_consent_basis, transform: text, owner: store, rule: with_consent,"
         " kind: text}", "needs 'consent'"),
        ("{from: email_consent_basis, transform: text, owner: store, rule: with_consent,"
         " consent: email, kind: text}", "'email' is not of rule consent"),
        ("{from: email, transform: text, owner: store, rule: overwrite, kind: text,"
         " consent: email}", "Only with_consent reads it"),
        ("just text", "has no keys"),
    ],
)  # fmt: skip
def test_a_typo_is_refused_with_its_line_and_the_fix(field: str, says: str) -> None:
    """A field named by a typo stayed empty for a quarter before anyone asked."""
    error = refusal(GOOD + f"  other: {field}\n")
    assert error.line == 7
    assert str(error).startswith("hubspot/contact/v1.yaml:7: ")
    assert says in str(error)


def test_cents_cannot_be_written_as_whole_euros() -> None:
    """total_minor passed as a plain integer once made every order a hundred times larger."""
    head = HEAD.replace("customer", "order")
    field = "{from: total_minor, transform: integer, owner: store, rule: overwrite, kind: number}"
    assert "does not take 'total_minor' (minor)" in str(refusal(f"  amount: {field}\n", head))


@pytest.mark.parametrize("entity", ["consent", "shipment"])
def test_an_entity_without_a_view_cannot_be_mapped(entity: str) -> None:
    """A parcel as a CRM object of its own was asked for; it shows on its order."""
    error = refusal(GOOD, HEAD.replace("customer", entity))
    assert error.line == 3
    assert f"entity {entity!r} has no view of its own" in str(error)
    assert "map one of company, customer" in error.fix
    with pytest.raises(KeyError, match="has no view"):
        canonical_paths(entity)


def test_all_problems_of_a_file_are_told_at_once() -> None:
    """One complaint per deployment means ten deployments for ten typos."""
    broken = GOOD.replace("from: email", "from: mail") + GOOD.replace("email:", "e2:").replace(
        "kind: text", "kind: bool"
    )
    error = refusal(broken)
    assert error.line == 6
    assert "v1.yaml:7: " in str(error)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a: &x [1]\nb: *x\n", 1, "anchors"),
        ("a: 1\n\tb: 2\n", 2, "YAML"),
        ("a: !!python/object/apply:os.system [x]\n", 1, "tags"),
        ("a: 1\na: 2\n", 2, "given twice"),
        ("no: 1\n", 1, "quotes"),
        ("a: 2024-01-01\n", 1, "timestamp"),
        ("a: 1:30\n", 1, "quotes"),
        ("- a\n", 1, "no keys"),
        ("", 1, "no keys"),
        ("a: [[[[[[[[[1]]]]]]]]]\n", 1, "deeply"),
        ("a: 1\n---\nb: 2\n", 2, "YAML"),
        ("a: \x00\n", 1, "readable"),
        ('a: "x\\0"\n', 1, "control character"),
        ('a: "\\ud800"\n', 1, "YAML"),
    ],
)
def test_a_yaml_trap_is_refused_before_it_springs(text: str, line: int, says: str) -> None:
    """Nine levels of aliases are a gigabyte; `no` is a boolean to YAML and Norway to people."""
    error = refusal(text, head="")
    assert error.line == line
    assert says in str(error)


def test_bytes_that_are_no_utf8_are_refused_with_a_fix() -> None:
    """A mapping saved as Latin-1 ended in a traceback of the YAML library."""
    with pytest.raises(BadMapping, match="UTF-8"):
        parse_mapping(b"a: \xff\xfe\n", crm="hubspot", object_type="contact", version=1)


def test_a_copy_that_kept_its_old_number_is_refused(tmp_path: Path) -> None:
    """v2.yaml copied from v1 with `version: 1` inside would be pinned under two numbers."""
    folder = tmp_path / "hubspot" / "contact"
    folder.mkdir(parents=True)
    (folder / "v2.yaml").write_text(HEAD + GOOD, encoding="utf-8")
    with pytest.raises(BadMapping, match="version 1 does not fit") as caught:
        load_mapping(tmp_path, "hubspot", "contact", 2)
    assert caught.value.line == 2


def test_a_missing_version_names_those_there_are() -> None:
    """A pin to a version nobody released must not fall back to another one."""
    with pytest.raises(BadMapping, match="Released versions: 1"):
        load_mapping(MAPPINGS, "hubspot", "contact", 99)


def test_a_name_cannot_leave_the_mappings_folder() -> None:
    """A CRM called `../..` would read any YAML file of the machine."""
    with pytest.raises(BadMapping, match="no name of a CRM"):
        load_mapping(MAPPINGS, "../hubspot", "contact", 1)


@pytest.mark.parametrize(
    "extra",
    ["match: {field: mail, path: email}", "match: {field: email, path: billing}",
     "associations: [{to: contakt, path: id}]", "associations: [{to: contact, path: email}]",
     "associations: {to: contact}", "match: [email]"],
)  # fmt: skip
def test_a_wrong_match_or_association_is_refused(extra: str) -> None:
    """An association over a path that is no id would link every order to nobody."""
    head = HEAD.replace("fields:", f"{extra}\nfields:")
    assert refusal(GOOD, head).line == 5


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_whatever_is_cut_or_put_into_a_mapping_it_loads_or_is_refused(data: st.DataObject) -> None:
    """A half-saved file must give a line and a fix, never a traceback of something inside."""
    text = (MAPPINGS / "hubspot" / "contact" / "v1.yaml").read_bytes()
    words = [match.span() for match in re.finditer(rb"[\w.]+|\{[^{}]*\}|\[[^\[\]]*\]", text)]
    start, end = data.draw(st.sampled_from(words))
    broken = text[:start] + data.draw(st.sampled_from(ODD)) + text[end:]
    try:
        compile_mapping(parse_mapping(broken, crm="hubspot", object_type="contact", version=1))
    except BadMapping as error:
        assert error.line >= 1
        assert error.fix
