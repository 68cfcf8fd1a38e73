"""Evaluation market: the data on which versions are evaluated, and the leak suite's results on them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pandas as pd
from mlflow import MlflowClient
from mlflow.data.dataset import Dataset

from ..data.panel import fingerprint
from ..data.universe import largest
from ..experiment.factors import descriptors_of, make_factors
from ..experiment.market import load_market, require_same_macro
from ..experiment.schema import DataConfig, TrainConfig
from ..samples.transforms import columns_of
from ..tracking.runs import dataset_of
from ..tracking.searches import market_returns, trials_on
from ..training.parallel import one_thread
from .aliases import Standing, read_hold
from .audit import audit_training, could_not_run
from .decision import Decision
from .evaluation_config import EvaluateConfig
from .market import require_same_market
from .promote import Rules, decide
from .versions import RegisteredVersions, Version, read_history


@dataclass
class EvaluationMarket:
    """The market on which versions are evaluated.

    Attributes:
        data, market: Where the market comes from, and all its stocks in contract form.
        audits: Recipe -> result of the leak suite: versions that were trained alike are audited once.
    """

    data: DataConfig
    market: pd.DataFrame
    audits: dict[str, pd.DataFrame] = field(default_factory=dict)

    @classmethod
    def of(cls, config: EvaluateConfig, versions: RegisteredVersions, standing: Standing) -> EvaluationMarket:
        """Load the market that the config names.

        The market has the descriptors of the champion, or of the newest version if there is no champion. Descriptors of
        other versions are added where the market's source provides them.

        Raises InputError if the data cannot be read, lack what the version or the portfolio rule needs, or belong to
        another market than the version.
        """
        reference = versions.get(standing.champion) or max(versions.versions, key=lambda version: version.age)
        others = {name for version in versions.versions for name in _descriptors(version.config)}
        needed = _descriptors(reference.config)
        for version in versions.versions:
            own = version.config.data.macro
            require_same_macro(version.title, _descriptors(version.config), own, config.data.macro)
        market = load_market(config.data, needed, config.portfolio.quantiles, sorted(others - set(needed)))
        require_same_market(reference.title, reference.words, read_history(reference), market)
        config.portfolio.equip(market[["date", "asset"]], market)
        return cls(config.data, market)

    @property
    def dataset(self) -> Dataset:
        """The market as MLflow names it."""
        return dataset_of(self.market, self.data.source.name, fingerprint(self.market))

    def decide(
        self, client: MlflowClient, config: EvaluateConfig, asked: str, versions: RegisteredVersions, standing: Standing
    ) -> Decision:
        """Evaluate the versions and choose; ``asked`` names the gates and portfolios."""
        with one_thread():
            if config.audit:
                self.audit(versions.versions[-1])
            rules = Rules(
                client=client,
                market=self.market,
                universe=self.data.universe,
                rule=config.portfolio,
                limits=config.gate,
                asked=asked,
                trials=trials_on(market_returns(largest(self.market, self.data.universe))),
                refresh=config.registry.refresh,
                audit=self.audit if config.audit or config.gate.audit else None,
            )
            return decide(rules, versions, standing, read_hold(client, config.registry.name))

    def audit(self, version: Version) -> pd.DataFrame:
        """Run the leak suite on this market, with the version's own descriptors and universe."""
        if version.recipe not in self.audits:
            own = replace(version.config.data, source=self.data.source)
            missing = [name for name in _descriptors(version.config) if name not in self.market]
            if missing:
                return could_not_run(f"the panel lacks {', '.join(missing)}")
            self.audits[version.recipe] = audit_training(self.market, replace(version.config, data=own), version.row)
        return self.audits[version.recipe]


def _descriptors(config: TrainConfig) -> list[str]:
    """Return the panel columns that a version's models look at."""
    return columns_of(descriptors_of(make_factors(config.factors, config.data)))
