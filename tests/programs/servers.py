"""An MLflow server on loopback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import requests

from tests.programs.conftest import free_port


class Server:
    """An MLflow server that can be stopped and started again."""

    def __init__(self, folder: Path, store: str, *options: str, **environment: str) -> None:
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        self.command = [
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1",
            "--backend-store-uri", store, "--artifacts-destination", str(folder / "artifacts"), *options,
        ]  # fmt: skip
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
        # Its job workers are not needed, and take more memory than the server.
        self.environment = {**clean, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **environment}

    def start(self) -> None:
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command, env=self.environment, stdout=log, stderr=log, cwd=self.folder, start_new_session=True
            )
        while not self._answers():
            assert self.process.poll() is None, (self.folder / "server.log").read_text()[-3000:]
            time.sleep(0.3)

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.uri}/health", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
