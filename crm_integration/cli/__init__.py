"""The command line: one module per noun."""

from crm_integration.cli.app import app

__all__ = ["app"]
