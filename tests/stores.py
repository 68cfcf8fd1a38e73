"""SQLite for tests: it need not survive a crash of the machine, so nothing waits for the disk."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine


def do_not_wait_for_the_disk() -> None:
    """Let every SQLite connection of this process leave the writing to the system; a killed process loses nothing."""

    @event.listens_for(Engine, "connect")
    def without_sync(connection: Any, _record: Any) -> None:
        if type(connection).__module__.startswith("sqlite3"):
            connection.execute("PRAGMA synchronous=OFF")
