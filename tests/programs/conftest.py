"""A real PostgreSQL on loopback, for a test's own use."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

DATABASE_PASSWORD = "battery-horse-staple"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def database() -> Iterator[str]:
    """The address of an empty database, without the password that it asks for."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("no PostgreSQL here: apt-get install postgresql")
    as_owner = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []  # it refuses to be root's
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "password").write_text(DATABASE_PASSWORD)
        if as_owner:
            for path in (folder, f"{folder}/password"):
                shutil.chown(path, "postgres")
        data, port = f"{folder}/data", free_port()

        def call(program: str, *arguments: str) -> None:
            command = [*as_owner, str(found[-1].parent / program), *arguments]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder)

        call("initdb", "-D", data, "-U", "drf", "-A", "scram-sha-256", f"--pwfile={folder}/password")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder}"
        call("pg_ctl", "-D", data, "-l", f"{folder}/log", "-w", "-o", options, "start")
        try:
            yield f"postgresql+psycopg2://drf@127.0.0.1:{port}/postgres"
        finally:
            call("pg_ctl", "-D", data, "-m", "immediate", "stop")
