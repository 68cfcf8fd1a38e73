"""Make a panel and keep it: ``python -m drf.data build data=raw [key=value ...] --output panel.parquet``.

Reads what a training would (``data``, ``factors`` with their sensitivities to macro series), checks it, and writes it
with ``panel.json`` beside it: fingerprint, counts, what was treated, the config. Built again, it says what has changed;
of raw prices only the months that changed are summed up anew (``panel.bars.parquet``).
"""

from __future__ import annotations

import argparse
import glob
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pandas as pd
from filelock import FileLock, Timeout
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from .. import __version__
from ..data.changes import changes
from ..data.factors import DESCRIPTORS
from ..data.files import whole_or_not
from ..data.panel import KEYS, RETURN, fingerprint
from ..data.sources import RawTables
from ..errors import InputError, first_line
from ..experiment.config import Record, read
from ..experiment.factors import descriptors_of, make_factors
from ..experiment.market import load_market
from ..experiment.schema import DataConfig, TrainConfig
from . import program


@program.refusing
def main(words: Sequence[str]) -> None:
    arguments = _parse(words)
    output = Path(arguments.output)
    if output.suffix != ".parquet":
        raise InputError(f"--output {output}: must end in .parquet")
    if not output.absolute().parent.is_dir():
        raise InputError(f"--output {output}: the folder {output.parent} does not exist")
    try:
        with FileLock(output.with_name(f".{output.name}.lock"), timeout=0):
            build(arguments.overrides, output)
    except Timeout as error:
        raise InputError(
            f"--output {output}: another build of it is running, or its folder cannot be written"
        ) from error
    except PermissionError as error:
        raise InputError(f"--output {output}: cannot be written ({first_line(error)})") from error


def build(overrides: Sequence[str], output: Path) -> None:
    """Make the panel that a training with these overrides would read, and write it where it has changed."""
    config, record = _composed(overrides)
    data = config.data
    if isinstance(data.source, RawTables) and data.source.bars is None:
        data = replace(data, source=replace(data.source, bars=str(output.with_suffix(".bars.parquet"))))
    _require_no_input(data, output)
    before, described = _former(output)
    descriptors = descriptors_of(make_factors(config.factors, data.descriptors))
    with _listening() as treated:
        panel = load_market(data, descriptors, config.portfolio.quantiles, DESCRIPTORS)
    found = fingerprint(panel)
    same = before is not None and fingerprint(before) == found
    for line in changes(before, panel) if before is not None and not same else []:
        print(line)
    if not same:
        _write(output, lambda file: panel.to_parquet(file, index=False))
    if described != found:
        description = _description(panel, found, treated, record)
        text = json.dumps(description, indent=1, ensure_ascii=False) + "\n"
        _write(output.with_suffix(".json"), lambda file: file.write_text(text))
    print(f"{output}: {'nothing has changed, ' if same else ''}{_size(panel)}, fingerprint {found}")


def _description(panel: pd.DataFrame, found: str, treated: list[str], record: Record) -> dict[str, object]:
    return {
        "fingerprint": found,
        "rows": len(panel),
        "stocks": panel["asset"].nunique(),
        "months": [f"{panel['date'].min():%Y-%m}", f"{panel['date'].max():%Y-%m}"],
        "known": {name: round(float(panel[name].notna().mean()), 4) for name in panel.columns[2:]},
        "treated": treated,
        "config": json.loads(record.line),
        "drf": __version__,
    }


def _composed(overrides: Sequence[str]) -> tuple[TrainConfig, Record]:
    try:
        with initialize_config_dir(str(program.CONFIG_DIR), version_base="1.3"):
            composed = compose("config", list(overrides))
        return read(composed, TrainConfig), Record.of(composed)
    except (HydraException, OmegaConfBaseException) as error:
        raise InputError(program.explain(error, "config")) from error
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(program.group_in_words(error)) from error


class _Treated(logging.Handler):
    """Keeps what the rooms log."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextmanager
def _listening() -> Iterator[list[str]]:
    """What is logged of the data meanwhile."""
    handler, rooms = _Treated(), [logging.getLogger(name) for name in ("drf.data", "drf.experiment")]
    for room in rooms:
        room.addHandler(handler)
    try:
        yield handler.lines
    finally:
        for room in rooms:
            room.removeHandler(handler)


def _require_no_input(data: DataConfig, output: Path) -> None:
    """What is written must not be what is read."""
    source, macro = data.source, data.macro
    read = {f"data.{name}": getattr(source, name) for name in source.PLACES - {"bars"}}
    read |= {"data.macro.path": macro.path if macro else None}
    written = {output.resolve(), output.with_suffix(".json").resolve()}
    for name, path in read.items():
        if not isinstance(path, str):
            continue
        address = str(Path(path.partition("#")[0]).expanduser())
        files = {Path(file).resolve() for file in [address, *glob.glob(address)]}
        if any(file in files or files & set(file.parents) for file in written):
            raise InputError(f"--output {output}: would be written over {name}={path}: name another file")


def _former(output: Path) -> tuple[pd.DataFrame | None, str | None]:
    """The panel as it was built before, and the fingerprint in its description; nothing where nothing is there."""
    beside = output.with_suffix(".json")
    if not output.exists() and not beside.exists():
        return None, None
    try:
        described = str(json.loads(beside.read_text())["fingerprint"])
        panel = pd.read_parquet(output) if output.exists() else None
        if panel is not None and not {*KEYS, RETURN} <= set(panel):
            raise KeyError(RETURN)
    except Exception as error:  # whatever the readers make of another file
        raise InputError(
            f"--output {output}: it, or {beside.name} beside it, is there and is not of a build: name another file, or "
            "remove both"
        ) from error
    return panel, described


def _write(file: Path, write: Callable[[Path], object]) -> None:
    try:
        whole_or_not(file, write)
    except OSError as error:
        raise InputError(f"--output {file}: cannot be written ({first_line(error)})") from error


def _size(panel: pd.DataFrame) -> str:
    months = panel["date"].nunique()
    return f"{len(panel):,} rows, {panel['asset'].nunique():,} stocks, {months} months to {panel['date'].max():%Y-%m}"


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m drf.data build", description=__doc__)
    parser.add_argument(
        "overrides", nargs="+", metavar="key=value", help="as those of train.py: data=raw data.prices=..."
    )
    parser.add_argument("--output", required=True, help="the panel to write, such as panel.parquet")
    return parser.parse_intermixed_args(list(words))
