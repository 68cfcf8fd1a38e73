"""Make a panel and keep it: ``python -m drf.data build data=raw [key=value ...] --output panel.parquet``.

Reads what a training would (``data``, ``factors`` with their sensitivities to macro series), checks it, and writes it
with ``panel.json`` beside it: fingerprint, counts, what was treated, the config. Built again, it says what has changed;
of raw prices only the months that changed are summed up anew (``panel.bars.parquet``).
"""

from __future__ import annotations

import argparse
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
    before = _former(output)
    descriptors = descriptors_of(make_factors(config.factors, data.descriptors))
    with _listening() as treated:
        panel = load_market(data, descriptors, config.portfolio.quantiles, DESCRIPTORS)
    found = fingerprint(panel)
    if before is not None and fingerprint(before) == found:
        print(f"{output}: nothing has changed, {_size(panel)}, fingerprint {found}")
    else:
        _write(output, lambda file: panel.to_parquet(file, index=False))
        for line in changes(before, panel) if before is not None else []:
            print(line)
        print(f"{output}: {_size(panel)}, fingerprint {found}")
    description = {
        "fingerprint": found,
        "rows": len(panel),
        "stocks": panel["asset"].nunique(),
        "months": [f"{panel['date'].min():%Y-%m}", f"{panel['date'].max():%Y-%m}"],
        "known": {name: round(float(panel[name].notna().mean()), 4) for name in panel.columns[2:]},
        "treated": treated,
        "config": json.loads(record.line),
        "drf": __version__,
    }
    beside = output.with_suffix(".json")
    _write(beside, lambda file: file.write_text(json.dumps(description, indent=1, ensure_ascii=False) + "\n"))


def _composed(overrides: Sequence[str]) -> tuple[TrainConfig, Record]:
    try:
        with initialize_config_dir(str(program.CONFIG_DIR), version_base="1.3"):
            composed = compose("config", list(overrides))
        return read(composed, TrainConfig), Record.of(composed)
    except (HydraException, OmegaConfBaseException) as error:
        raise InputError(program.explain(error, "config")) from error


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
    read = {name: str(getattr(source, name)) for name in source.PLACES if getattr(source, name) is not None}
    written = {output.resolve(), output.with_suffix(".json").resolve()}
    for name, path in {**read, "macro.path": str(macro.path if macro else "")}.items():
        if path and Path(path.partition("#")[0]).expanduser().resolve() in written:
            raise InputError(f"--output {output}: would be written over data.{name}={path}: name another file")


def _former(output: Path) -> pd.DataFrame | None:
    """The panel as it was built before."""
    if not output.exists():
        return None
    try:
        panel = pd.read_parquet(output)
    except Exception as error:  # whatever Parquet's reader makes of another file
        raise InputError(f"--output {output}: is there and is no panel: name another file, or remove it") from error
    if not {*KEYS, RETURN} <= set(panel):
        raise InputError(f"--output {output}: is there and is no panel: name another file, or remove it")
    return panel


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
