"""Month end: watch, score, monitor, train if it is time, evaluate, and show all on one page.

A second call for the same month, data and champion finds the finished work and returns the same result. A call that was
killed is resumed by the next, since each step finds its own work done.
"""

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd

from ..data.calendar import in_force, named
from ..data.files import whole_or_not
from ..data.panel import fingerprint
from ..data.paper_descriptors import DESCRIPTORS
from ..data.trading_days import trading_days
from ..errors import InputError, first_few, first_line
from ..experiment.composing import Settings
from ..experiment.identity import digest, identity_of_program
from ..experiment.market import load_market, require_same_macro
from ..live.as_of import up_to
from ..live.month_end_config import MonthEndConfig
from ..live.month_end_log import find_end
from ..live.scorer import Scorer, load_scorer, require_market_of, require_promoted
from ..registry.aliases import CHAMPION, read_standing
from ..registry.versions import Version, read_versions
from ..tracking.locks import store_lock
from ..tracking.runs import leave_what_is_taken
from ..tracking.store import connect
from .month_end_steps import Listener, MonthEndSteps


@dataclass(frozen=True)
class MonthEndResult:
    """A month end that has ended.

    Attributes:
        status: ``done``, ``alarm`` or ``held back``.
        summary: The month end as numbers and texts, ready for JSON.
        done_before: True if an earlier call had done the work.
    """

    status: str
    summary: Mapping[str, Any]
    done_before: bool = False

    @property
    def page(self) -> str | None:
        """File of the page; None if the month was held back."""
        page = self.summary.get("page")
        return None if page is None else str(page)


def month_end(settings: Settings[MonthEndConfig], listener: Listener = lambda result: None) -> MonthEndResult:
    """Do a month end.

    Args:
        listener: Function called with the result of each step as it ends.

    Raises:
        InputError: If the settings, the data or the registry are refused.
        TryAgainError: If another month end of the same model is at work, or a store cannot be reached.
    """
    began, config = time.perf_counter(), settings.config
    connect()
    client, name = mlflow.MlflowClient(), config.registry.name
    leave_what_is_taken(client)
    _require_folder(Path(config.output))
    with store_lock(name, "month-end", wait=0):
        scorer = load_scorer(f"models:/{name}@{CHAMPION}")
        _require_frequency(config, scorer)
        version = _champion(client, name)
        require_same_macro(scorer.title, scorer.descriptors, scorer.data.macro, config.data.macro)
        market = load_market(config.data, scorer.descriptors, config.portfolio.quantiles, DESCRIPTORS)
        comparison = require_market_of(scorer, market)
        require_promoted(scorer)
        _require_used(config, scorer)
        panel, afterwards = up_to(market, config.as_of, trading_days(config.data.weekmask, config.data.holidays))
        shadow = _shadow(config, scorer, market)
        steps = MonthEndSteps(client, settings, listener, scorer, shadow, version, panel, afterwards, comparison)
        key = _key(settings, panel)
        watched = steps.watch()
        earlier = find_end(client, name, f"{key}; champion {scorer.number}")
        if earlier is not None and steps.still_holds(earlier) and not config.replace:
            return MonthEndResult(str(earlier["status"]), earlier, done_before=True)
        if watched.unusual and not config.force:
            return MonthEndResult(
                "held back", {"status": "held back", "month": steps.month, "unusual": watched.unusual}
            )
        steps.hold_at_alarm()
        steps.score()
        steps.monitor()
        steps.train()
        steps.evaluate()
        summary = steps.finish(key, began)
        return MonthEndResult(str(summary["status"]), summary)


def _require_folder(output: Path) -> None:
    """Refuse an unwritable folder before anything is done."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        whole_or_not(output / "probe", lambda file: file.touch())
        (output / "probe").unlink()
    except OSError as error:
        raise InputError(f"output={output}: cannot be written ({first_line(error)})") from error


def _key(settings: Settings[MonthEndConfig], panel: pd.DataFrame) -> str:
    """Return all that a month end depends on except the champion: month, data, every setting, code and libraries."""
    left_out = ("data", "as_of", "force", "replace")  # the panel's fingerprint covers the data
    kept = {name: value for name, value in dataclasses.asdict(settings.config).items() if name not in left_out}
    known = digest([settings.choices["gate"], kept, identity_of_program()])
    return f"{named(panel['date'].max())}; data {fingerprint(panel)}; settings {known}"


def _require_frequency(config: MonthEndConfig, scorer: Scorer) -> None:
    """Refuse data of another frequency than the champion's; raises InputError."""
    own = in_force().name
    if config.data.frequency != own:
        raise InputError(
            f"data.frequency={config.data.frequency}: {scorer.title} was trained on {own} data: set "
            f"data.frequency={own}"
        )


def _require_used(config: MonthEndConfig, scorer: Scorer) -> None:
    """Refuse data settings that the champion's own settings replace; raises InputError."""
    universe, descriptors = config.data.universe, config.data.descriptors
    if universe is not None and universe != scorer.universe:
        own = f"the {scorer.universe:,} largest stocks" if scorer.universe else "all stocks"
        raise InputError(f"data.universe={universe}: {scorer.title} was trained on {own}: leave data.universe out")
    if descriptors is not None and set(descriptors) != set(scorer.descriptors):
        raise InputError(
            f"data.descriptors: {scorer.title} was trained on {', '.join(scorer.descriptors)}: leave it out"
        )


def _shadow(config: MonthEndConfig, champion: Scorer, market: pd.DataFrame) -> Scorer | None:
    """Load the version that runs in shadow; None if there is none, or it has become champion.

    Raises InputError if the version is absent, or the data lack one of its descriptors or are of another market.
    """
    if config.shadow is None:
        return None
    scorer = load_scorer(f"models:/{champion.name}/{config.shadow}")
    require_market_of(scorer, market)
    if missing := [name for name in scorer.descriptors if name not in market]:
        raise InputError(f"shadow={config.shadow}: the data lack {first_few(missing)}, which it was trained on")
    return None if scorer.number == champion.number else scorer


def _champion(client: mlflow.MlflowClient, name: str) -> Version:
    standing = read_standing(client, name)
    versions = read_versions(client, name, (standing.champion, standing.previous))
    version = versions.get(standing.champion)
    if version is None:
        why = versions.left_aside.get(str(standing.champion), "it was not found")
        raise InputError(f"the champion of {name}, version {standing.champion}, cannot be used: {why}")
    return version
