"""Folder of the configuration files. Nothing heavy is imported, so that help is printed at once."""

from pathlib import Path

_HERE = Path(__file__).resolve()

_PLACES = (_HERE.parents[2] / "conf", _HERE.parents[1] / "conf")

CONFIG_DIR = next(folder for folder in _PLACES if (folder / "config.yaml").is_file())
"""``conf`` in the checkout or, when installed from a wheel, inside the package."""
