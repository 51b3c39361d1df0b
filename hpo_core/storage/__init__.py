"""Where the log of a study lives: in memory, in an SQLite file, in a PostgreSQL database."""

from hpo_core.storage.base import Record, Storage
from hpo_core.storage.masking import masked
from hpo_core.storage.memory import MemoryStorage
from hpo_core.storage.opening import open_storage
from hpo_core.storage.postgres import PostgresStorage
from hpo_core.storage.sqlite import SQLiteStorage

__all__ = ["MemoryStorage", "PostgresStorage", "Record", "SQLiteStorage", "Storage", "masked", "open_storage"]
