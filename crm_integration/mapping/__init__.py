"""Versioned rules from the canonical model to CRM fields, with an owner for every field."""
