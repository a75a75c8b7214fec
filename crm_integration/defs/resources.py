"""The house as a Dagster resource, opened on first use in a process."""

from functools import lru_cache

from dagster import ConfigurableResource

from crm_integration.settings import get_settings
from crm_integration.sync.opening import open_house
from crm_integration.sync.path import House


@lru_cache(maxsize=4)
def _opened(database: str) -> House:
    return open_house(get_settings(), database=database)


class HouseResource(ConfigurableResource):
    """Databases, keys and mappings. `database` is used on the embedded server only."""

    def open(self) -> House:
        """The house of this process. Raises BadSetting, NewerSchema, UnsafeRole, StorageError."""
        return _opened(get_settings().database)
