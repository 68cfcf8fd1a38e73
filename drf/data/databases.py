"""Tables of a database file, read by table name or one SELECT over a read-only connection."""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pandas as pd

_ALLOWED = frozenset((sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE))
"""Actions of SQLite that a SELECT needs."""


def ask_sqlite(file: Path, query: str, most: str) -> pd.DataFrame:
    """Return the rows of a table or SELECT; ``most`` is empty or a LIMIT. Anything but a SELECT is refused."""
    database = sqlite3.connect(f"file:{quote(str(file.absolute()))}?mode=ro", uri=True)
    with closing(database):
        database.set_authorizer(_only_reading)
        try:
            return pd.read_sql_query(_limited(query, most), database)
        except pd.errors.DatabaseError as error:  # its message begins with the whole query
            raise ValueError(str(error.__cause__)) from error


def _only_reading(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    loads = action == sqlite3.SQLITE_FUNCTION and second == "load_extension"
    return sqlite3.SQLITE_OK if action in _ALLOWED and not loads else sqlite3.SQLITE_DENY


def ask_duckdb(file: Path, query: str, most: str) -> pd.DataFrame:
    """Return the rows of a table or SELECT; ``most`` is empty or a LIMIT. No other file can be read or written.

    Raises ValueError if the query is anything but one SELECT.
    """
    import duckdb

    locked: dict[str, str | bool | int | float | list[str]] = {
        "enable_external_access": "false",
        "lock_configuration": "true",
    }
    with duckdb.connect(str(file), read_only=True, config=locked) as database:
        statements = database.extract_statements(_select(query))
        if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
            raise ValueError("the query must be one SELECT")
        return database.execute(_limited(query, most)).df()


def _limited(query: str, most: str) -> str:
    return f"SELECT * FROM (\n{_select(query)}\n){most}"  # the query has its own lines, as it may end in a comment


def _select(query: str) -> str:
    """Return a query; the name of a table stands for the whole table."""
    if not query:
        raise ValueError("name a table of it, or a query: market.db#prices, or 'market.db#SELECT ...'")
    words = query.strip().rstrip(";")
    return words if " " in words else 'SELECT * FROM "{}"'.format(words.replace('"', '""'))
