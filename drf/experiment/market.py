"""Market that a ``data`` config names: its panel, checked, with all its stocks."""

import logging
from collections.abc import Sequence

import pandas as pd

from ..data.calendar import MONTHLY, in_force
from ..data.files import PLAIN, Reading, read_table
from ..data.leavers import treat_leavers
from ..data.macro import PREFIX, add_sensitivities
from ..data.panel import check_panel
from ..data.sources import FileSource
from ..data.states import add_states
from ..errors import InputError
from ..samples.transforms import STATE
from .schema import DataConfig, MacroConfig

log = logging.getLogger(__name__)


def load_market(
    data: DataConfig, descriptors: Sequence[str], least_stocks: int, more: Sequence[str] = ()
) -> pd.DataFrame:
    """Read or simulate a panel, and check it against the contract.

    Args:
        descriptors: Descriptors that the panel must have; missing sensitivities to macro series are added from
            ``data.macro``.
        least_stocks: Fewest stocks that a month may have.
        more: Descriptors that are included if the source has them in every month.

    Raises:
        InputError: Naming what is wrong with the config or the data.
    """
    if data.universe is not None and "CAP" not in descriptors:
        raise InputError(f"data.universe={data.universe}: the largest stocks are chosen by CAP, which is not there")
    if data.universe is not None and data.universe < least_stocks:
        raise InputError(
            f"data.universe={data.universe}: must be at least portfolio.quantiles={least_stocks}: each needs a stock"
        )
    if data.frequency not in data.source.FREQUENCIES:
        raise InputError(
            f"data.frequency={data.frequency}: panels of this source are monthly: give a {data.frequency} panel as "
            "data=panel"
        )
    frame = data.source.needing(descriptors).panel()
    missing = [name for name in descriptors if name.startswith((PREFIX, STATE)) and name not in frame]
    present = [name for name in descriptors if name not in missing]
    more = [name for name in more if name not in descriptors]
    panel = check_panel(frame, [*present, *_in_every_month(frame, more)], least_stocks)
    panel, leavers = treat_leavers(panel, data.missing_return)
    for words in leavers:
        log.info("panel: %s", words)
    if not missing:
        return panel
    reading = data.source.reading if isinstance(data.source, FileSource) else PLAIN
    with_macro = _with_macro(panel, data.macro, reading, missing)
    return check_panel(with_macro, [*descriptors, *_in_every_month(with_macro, more)], least_stocks)


def require_same_macro(
    title: str, descriptors: Sequence[str], trained: MacroConfig | None, given: MacroConfig | None
) -> None:
    """Refuse macro series that would enter otherwise than in a version's training.

    Args:
        title: Version, worded to stand within the message.
        descriptors: Panel columns that the version looks at.
        trained, given: Settings of its training, and those given.

    Raises InputError, naming the setting and the training's value.
    """
    made = [name for name in descriptors if name.startswith((PREFIX, STATE))]
    if not made or trained is None or given is None or given.path is None:
        return
    settings = {"lag_months": (trained.lag_months, given.lag_months)}
    for name in made:
        if name.startswith(PREFIX):
            series = name.removeprefix(PREFIX)
            settings[f"changes.{series}"] = (trained.changes.get(series), given.changes.get(series))  # type: ignore[assignment]
    for key, (was, now) in settings.items():
        if was != now:
            raise InputError(
                f"data.macro.{key}={now}: {title} was trained with {was}, and {made[0]} would be another: set "
                f"data.macro.{key}={was}"
            )


def _in_every_month(frame: pd.DataFrame, names: Sequence[str]) -> list[str]:
    present = [name for name in names if name in frame and "date" in frame]
    return [name for name in present if (frame.groupby("date")[name].count() > 0).all()]


def _with_macro(
    panel: pd.DataFrame, macro: MacroConfig | None, reading: Reading, missing: Sequence[str]
) -> pd.DataFrame:
    """Add sensitivities and states from the file that ``data.macro`` names; what is left out is logged."""
    sensitive = [name.removeprefix(PREFIX) for name in missing if name.startswith(PREFIX)]
    states = [name.removeprefix(STATE) for name in missing if name.startswith(STATE)]
    series = list(dict.fromkeys([*sensitive, *states]))
    if in_force() is not MONTHLY:
        raise InputError(
            f"factors: {missing[0]}: macro series are read for monthly panels: add the column to the {in_force().name} "
            "panel, or leave it out"
        )
    if macro is None or macro.path is None:
        meaning = "a sensitivity to" if sensitive else "the state of"
        raise InputError(
            f"factors: {missing[0]} is {meaning} the macro series {series[0]}, which the panel does not have: give "
            "data.macro.path"
        )
    levels = read_table(
        "data.macro.path", macro.path, dates=("date",), numbers=series, may_be_empty=series, reading=reading
    )
    left_out = 0
    if sensitive:
        panel, left_out = add_sensitivities(panel, levels, macro.changes, macro.lag_months, sensitive)
    if states:
        panel, months = add_states(panel, levels, macro.lag_months, STATE, states)
        left_out += months
    if left_out:
        log.info("macro series: the first %d months are left out, a sensitivity or a state is not known then", left_out)
    return panel
