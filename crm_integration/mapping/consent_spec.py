"""What a consent field may look like in a file, and which fields belong together.

Prevents the opt-in that slips past the CRM's opt-out: a consent is only ever written by the rule
that knows of it, in its own words, and what it names must be there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from crm_integration.mapping.model import FieldRule
from crm_integration.mapping.paths import CanonicalPath, suggest

Complain = Callable[[str, str, str], None]
"""Called with (key, problem, fix); the caller knows the file and the line of the key."""

FIELD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,99}")


def check_words(spec: Mapping[str, Any], note: Complain) -> None:
    """The keys of the two consent rules."""
    if "opt_out" in spec and not FIELD_NAME.fullmatch(spec["opt_out"]):
        note("opt_out", "'opt_out' is not a CRM field name", "Use letters, digits, underscores.")
    if spec["rule"] == "with_consent" and not spec.get("consent"):
        note("rule", "with_consent needs 'consent'", "Name the consent field it belongs to.")
    if spec["rule"] in {"consent", "with_consent"} and "value" in spec:
        note("value", "consent is no constant", "Read it with 'from'.")


def check_paths(spec: Mapping[str, Any], paths: list[CanonicalPath], note: Complain) -> None:
    """Consent is written by its own rule, unchanged, or not at all (promise 5)."""
    reads_consent = any(path.is_consent for path in paths)
    if spec["rule"] == "consent" and (not reads_consent or spec["transform"] != "text"):
        note("rule", "rule 'consent' needs a consent read with transform 'text'",
             "Use from: email_consent or sms_consent, or another rule.")  # fmt: skip
    if reads_consent and spec["rule"] not in {"consent", "never"}:
        note("rule", f"a consent is not written by rule {spec['rule']!r}",
             "Use rule consent, which lets the CRM's own opt-out stand.")  # fmt: skip


def check_together(fields: Mapping[str, FieldRule]) -> list[tuple[str, str, str]]:
    """(field, problem, fix) for each field that names another one wrongly."""
    found: list[tuple[str, str, str]] = []
    consents = tuple(name for name, rule in fields.items() if rule.rule == "consent")
    for name, rule in fields.items():
        if rule.consent and rule.consent not in consents:
            fix = suggest(rule.consent, consents) if consents else "Map that one by rule consent."
            found.append((name, f"field {name!r}: {rule.consent!r} is not of rule consent", fix))
        if rule.opt_out in fields:
            found.append((name, f"field {name!r}: its opt-out {rule.opt_out!r} is mapped, too",
                          "Take it out of the fields: it is only read."))  # fmt: skip
    return found
