"""Storages, which keep the log of a study: in memory, in an SQLite file or in a PostgreSQL database."""

from typing import TYPE_CHECKING, Any

from hpo_core.storage.base import Record, Storage
from hpo_core.storage.masking import masked
from hpo_core.storage.memory import MemoryStorage
from hpo_core.storage.opening import open_storage

if TYPE_CHECKING:
    from hpo_core.storage.postgres import PostgresStorage
    from hpo_core.storage.sqlite import SQLiteStorage

__all__ = ["MemoryStorage", "PostgresStorage", "Record", "SQLiteStorage", "Storage", "masked", "open_storage"]


def __getattr__(name: str) -> Any:
    # Databases are loaded when they are used: most studies live in memory.
    if name == "SQLiteStorage":
        from hpo_core.storage.sqlite import SQLiteStorage

        return SQLiteStorage
    if name == "PostgresStorage":
        from hpo_core.storage.postgres import PostgresStorage

        return PostgresStorage
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
