"""A shop that speaks Shopify: the GraphQL Admin API (2026-10), bulk operations and some REST.

Prevents the failure of a Shopify connector that only ever met answers written by its author:
here a query is parsed and executed, costs what it costs there, and nonsense is refused.
"""
