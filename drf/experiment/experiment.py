"""Experiment: the objects that a training starts from. Everything that can be refused is refused here, before a run is
opened."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ..comparison.evidence import BENCHMARK
from ..comparison.rows import Judging
from ..data.panel import fingerprint
from ..data.universe import largest
from ..models.catalogue import ModelRow, row_named, rows_of
from ..models.family import Family
from ..samples.horizon import with_label
from ..samples.lagged import Samples, make_samples
from ..samples.shared_table import shared_table
from ..samples.transforms import Transform, columns_of
from ..samples.windows import Schedule, Window, make_schedule, validation_windows
from ..training.checkpoints import Checkpoints
from ..training.forecasts import WalkForward
from ..training.walkforward import walk_forward
from ..tuning.search import TuningPlan
from ..tuning.studies import open_storage
from .composing import Settings
from .config import Record
from .factors import Factors, descriptors_of, make_factors
from .families import make_families, require_training_months
from .identity import identity_of_samples
from .market import load_market
from .schema import TrainConfig


@dataclass(frozen=True)
class Experiment:
    """Objects that follow from a training's settings alone.

    Attributes:
        config, record: The settings, typed and as they are logged.
        families: Not tuned yet.
        factors: The descriptors that are used, by factor.
        panel, samples, schedule: The checked universe of the market, the samples cut from it, and its windows.
        data: Fingerprint of the panel.
        data_words: Command-line words that choose the same data for another command.
    """

    config: TrainConfig
    record: Record
    families: list[Family]
    factors: Factors
    panel: pd.DataFrame
    samples: Samples
    schedule: Schedule
    data: str
    data_words: Sequence[str]

    @property
    def rows(self) -> list[ModelRow]:
        """The rows of the comparison."""
        return rows_of(family.name for family in self.families)

    @property
    def registered_row(self) -> ModelRow:
        """The row from which a version is made."""
        row = row_named(self.config.registry.row)
        assert row is not None
        return row

    @property
    def reference(self) -> Family:
        """The family ``linear``, with which versions are compared even if it is not a row of the comparison."""
        label = self.config.window.label
        (linear,) = make_families({BENCHMARK: {"label": label}}, tuned=False)
        return linear

    def families_behind(self, row: ModelRow) -> tuple[str, ...]:
        """Return the families whose models make a row; more than one for a blend."""
        return next(family.trained for family in self.families if family.name == row.family)

    @property
    def left_out(self) -> list[str]:
        """Descriptors that the ``factors`` config names but the training does not use."""
        return [name for name in descriptors_of(self.config.factors) if name not in self.samples.descriptors]

    @property
    def truth(self) -> pd.DataFrame | None:
        """True drivers of the returns; None unless the market is simulated."""
        return self.config.data.source.truth()

    @property
    def transforms(self) -> Mapping[str, Transform]:
        """Descriptor -> how its values become inputs, where it is not by ranks."""
        return self.config.samples.transforms_of(self.samples.descriptors)

    @property
    def judging(self) -> Judging:
        """Samples, panel, factors and rule by which the rows are judged."""
        return Judging(self.samples, self.panel, self.factors, self.config.portfolio, self.config.window.shrink)

    @property
    def identity(self) -> dict[str, Any]:
        """Identity of a fit or a trial, besides its own settings, seed and months."""
        samples = identity_of_samples(self.data, self.samples.descriptors, self.config.window, self.transforms)
        return {**samples, "device": self.config.compute.device}

    def checkpoints(self) -> Checkpoints:
        """Return the folder of finished fits. The task of a fit names its family, window and seed."""
        return Checkpoints(self.config.compute.checkpoints, self.identity)

    def walk(self, families: Sequence[Family], checkpoints: Checkpoints) -> dict[str, WalkForward]:
        """Fit families walk-forward, as the settings say, see :func:`drf.training.walkforward.walk_forward`."""
        config, full = self.config, self.config.report.relevance == "full"
        return walk_forward(families, self.samples, self.schedule, config.seed, config.compute, checkpoints, full)

    def tuning_windows(self) -> list[Window]:
        """Return the windows of the tuning; none if nothing is tuned.

        Raises InputError if the months before the first test month are too few.
        """
        rule, first_test, window = self.config.tuning, self.schedule.test_months.start, self.config.window
        if not rule.trials:
            return []
        windows = validation_windows(self.samples, window, first_test, rule.validation_months, rule.folds)
        require_training_months(self.families, windows)
        return windows

    def tuning_plan(self) -> TuningPlan:
        """Return the search, with its storage open.

        Raises InputError if the months before the first test month are too few, or the storage cannot be opened.
        """
        config, rule = self.config, self.config.tuning
        windows = self.tuning_windows()
        storage = open_storage(rule.journal, rule.storage) if rule.trials else None
        return TuningPlan(
            rule=rule,
            windows=windows,
            seed=config.seed,
            compute=config.compute,
            storage=storage,
            identity=self.identity,
            portfolio=config.portfolio,
            panel=self.panel,
        )


def prepare(settings: Settings[TrainConfig]) -> Experiment:
    """Make everything that the settings of a training describe.

    Raises InputError, naming what is wrong with the config or the data.
    """
    config = settings.config
    families = make_families(config.model, settings.overrides, tuned=config.tuning.trials > 0)
    factors = make_factors(config.factors, config.data)
    descriptors = descriptors_of(factors)
    market = load_market(config.data, columns_of(descriptors), config.portfolio.quantiles)
    panel = largest(with_label(market, config.window.horizon), config.data.universe)
    config.portfolio.equip(panel[["date", "asset"]], panel)
    window, transforms = config.window, config.samples.transforms_of(descriptors)
    samples = make_samples(panel, descriptors, window.lags, window.target, shared_table, transforms)
    schedule = make_schedule(samples, config.window)
    require_training_months(families, schedule.every)
    return Experiment(
        config=config,
        record=settings.record,
        families=families,
        factors=factors,
        panel=panel,
        samples=samples,
        schedule=schedule,
        data=fingerprint(panel),
        data_words=settings.data_words,
    )
