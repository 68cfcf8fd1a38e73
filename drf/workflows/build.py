"""Build: make a panel from a source, check it, and keep it with a description in a file next to it.

The description, ``panel.json``, holds the fingerprint, counts, treatments and the configuration. A rebuild reports what
has changed. For raw prices, only the changed months are aggregated again (``panel.bars.parquet``).
"""

import glob
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from filelock import FileLock, Timeout

from .. import __version__
from ..data.calendar import named
from ..data.changes import changes
from ..data.files import whole_or_not
from ..data.panel import KEYS, RETURN, fingerprint
from ..data.paper_descriptors import DESCRIPTORS
from ..data.sources import RawTables
from ..errors import InputError, first_line
from ..experiment.composing import Settings
from ..experiment.config import Record
from ..experiment.factors import descriptors_of, make_factors
from ..experiment.market import load_market
from ..experiment.schema import DataConfig, TrainConfig
from ..samples.transforms import columns_of


@dataclass(frozen=True)
class BuildResult:
    """A panel that was built.

    Attributes:
        output: File of the panel.
        panel: In contract form.
        fingerprint: Fingerprint of the panel.
        changes: Sentences on what has changed since the previous build.
        same: True if the panel was built before, and nothing has changed.
    """

    output: Path
    panel: pd.DataFrame
    fingerprint: str
    changes: Sequence[str]
    same: bool


def build(settings: Settings[TrainConfig], output: Path) -> BuildResult:
    """Make the panel that a training with these settings would read, and write it if it has changed.

    Raises InputError if the settings or data are refused, the output cannot be written, or another build of it is
    running.
    """
    require_output(output)
    try:
        with FileLock(output.with_name(f".{output.name}.lock"), timeout=0):
            return _build(settings, output)
    except Timeout as error:
        raise InputError(
            f"--output {output}: another build of it is running, or its folder cannot be written"
        ) from error
    except PermissionError as error:
        raise InputError(f"--output {output}: cannot be written ({first_line(error)})") from error


def require_output(output: Path) -> None:
    """Refuse a file that no panel can be written to."""
    if output.suffix != ".parquet":
        raise InputError(f"--output {output}: must end in .parquet")
    if not output.absolute().parent.is_dir():
        raise InputError(f"--output {output}: the folder {output.parent} does not exist")


def _build(settings: Settings[TrainConfig], output: Path) -> BuildResult:
    config, data = settings.config, settings.config.data
    if isinstance(data.source, RawTables) and data.source.bars is None:
        data = replace(data, source=replace(data.source, bars=str(output.with_suffix(".bars.parquet"))))
    _require_no_input(data, output)
    before, described = _read_earlier(output)
    descriptors = columns_of(descriptors_of(make_factors(config.factors, data)))
    with _listening() as treated:
        panel = load_market(data, descriptors, config.portfolio.quantiles, DESCRIPTORS)
    found = fingerprint(panel)
    same = before is not None and fingerprint(before) == found
    changed = changes(before, panel) if before is not None and not same else []
    if not same:
        _write(output, lambda file: panel.to_parquet(file, index=False))
    if described != found:
        description = _description(panel, found, treated, settings.record)
        text = json.dumps(description, indent=1, ensure_ascii=False) + "\n"
        _write(output.with_suffix(".json"), lambda file: file.write_text(text, encoding="utf-8"))
    return BuildResult(output, panel, found, list(changed), same)


def _description(panel: pd.DataFrame, found: str, treated: list[str], record: Record) -> dict[str, object]:
    return {
        "fingerprint": found,
        "rows": len(panel),
        "stocks": panel["asset"].nunique(),
        "months": [named(panel["date"].min()), named(panel["date"].max())],
        "known": {name: round(float(panel[name].notna().mean()), 4) for name in panel.columns[2:]},
        "treated": treated,
        "config": json.loads(record.line),
        "drf": __version__,
    }


class _Treated(logging.Handler):
    """Handler that keeps messages."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextmanager
def _listening() -> Iterator[list[str]]:
    """Collect the messages that the data code logs within the context."""
    handler, rooms = _Treated(), [logging.getLogger(name) for name in ("drf.data", "drf.experiment")]
    for room in rooms:
        room.addHandler(handler)
    try:
        yield handler.lines
    finally:
        for room in rooms:
            room.removeHandler(handler)


def _require_no_input(data: DataConfig, output: Path) -> None:
    """Refuse an output that would overwrite an input."""
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


def _read_earlier(output: Path) -> tuple[pd.DataFrame | None, str | None]:
    """Read the panel that was built before, and the fingerprint in its description; None where absent."""
    beside = output.with_suffix(".json")
    if not output.exists() and not beside.exists():
        return None, None
    try:
        described = str(json.loads(beside.read_text(encoding="utf-8"))["fingerprint"])
        panel = pd.read_parquet(output) if output.exists() else None
        if panel is not None and not {*KEYS, RETURN} <= set(panel):
            raise KeyError(RETURN)
    except Exception as error:  # the readers may raise any error on another kind of file
        raise InputError(
            f"--output {output}: it, or {beside.name} beside it, exists and was not made by a build: name another "
            "file, or remove both"
        ) from error
    return panel, described


def _write(file: Path, write: Callable[[Path], object]) -> None:
    try:
        whole_or_not(file, write)
    except OSError as error:
        raise InputError(f"--output {file}: cannot be written ({first_line(error)})") from error
