"""A storage as people and programs other than hpo_core see it: through SQL."""

from __future__ import annotations

import contextlib
import sqlite3


def sql(place, statement):
    """Run a statement in a file or at a URL and return its rows; the tables have the same names in both."""
    if "://" not in place:
        with contextlib.closing(sqlite3.connect(place)) as connection, connection:
            return connection.execute(statement).fetchall()
    import psycopg

    with psycopg.connect(place, options="-c search_path=hpo_core") as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []
