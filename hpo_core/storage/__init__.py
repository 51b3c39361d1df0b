"""Where the log of a study lives: in memory, or in an SQLite file that many processes share."""

from hpo_core.storage.base import Record, Storage, masked
from hpo_core.storage.memory import MemoryStorage
from hpo_core.storage.opening import open_storage
from hpo_core.storage.sqlite import SQLiteStorage

__all__ = ["MemoryStorage", "Record", "SQLiteStorage", "Storage", "masked", "open_storage"]
