"""What a training starts from; whatever can be refused is refused while it is made, before the first run is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from omegaconf import DictConfig

from .config import (
    check_config,
    descriptors_of,
    load_panel,
    make_factors,
    make_families,
    make_plan,
    make_rule,
    require_training_months,
)
from ..data.panel import fingerprint
from ..evaluation.portfolio import PortfolioRule
from ..models.family import Family
from ..tuning.search import TuningPlan
from ..samples.lagged import Samples, make_samples
from ..samples.windows import Window, newest_window, test_windows


@dataclass(frozen=True)
class Preparation:
    """All that follows from a config alone.

    Attributes
    ----------
    families
        Not tuned yet.
    rule, factors, plan
        Portfolios, the descriptors of each factor, how to tune.
    panel, samples
        Checked, and cut.
    data
        Fingerprint of the panel.
    windows, newest
        To test on, and the one whose models are kept.
    """

    families: list[Family]
    rule: PortfolioRule
    factors: dict[str, list[str]]
    plan: TuningPlan
    panel: pd.DataFrame
    samples: Samples
    data: str
    windows: list[Window]
    newest: Window


def prepare(config: DictConfig, overrides: Sequence[str]) -> Preparation:
    """Make everything that a composed config describes; ``overrides`` as they stood on the command line.

    Raises
    ------
    InputError
        Naming what is wrong with the config or the data.
    """
    check_config(config)
    families = make_families(config.model, overrides)
    rule = make_rule(config.portfolio)
    factors = make_factors(config.factors, config.data.descriptors)
    descriptors = descriptors_of(factors)
    panel = load_panel(config.data, descriptors, rule.quantiles)
    window = config.window
    samples = make_samples(panel, descriptors, window.lags, window.target)
    windows = test_windows(samples, window.train_months, window.test_months, window.refit_every, window.expanding)
    newest = newest_window(samples, window.train_months, window.expanding)
    data = fingerprint(panel)
    require_training_months(families, [*windows, newest])
    plan = make_plan(config, families, samples, windows[0].test.start, data)
    return Preparation(families, rule, factors, plan, panel, samples, data, windows, newest)
