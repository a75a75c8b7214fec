"""Shopify, GraphQL Admin API."""
