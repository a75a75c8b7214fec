"""What a driver needs, imported once: drivers are forks of the process that has done this."""

from __future__ import annotations

import great_expectations  # noqa: F401
import pandas as pd  # noqa: F401
import phonenumbers  # noqa: F401

from crm_integration.crms._registry import crm_connector
from crm_integration.quality import suites  # noqa: F401
from crm_integration.stores._registry import connector, platforms
from crm_integration_tests.certificate import driver, live, ranges  # noqa: F401

for _platform in platforms():
    connector(_platform)
crm_connector("hubspot")
