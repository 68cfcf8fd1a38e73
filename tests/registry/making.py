"""Registered versions and their forecasts, made by hand; and real ones, small."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from hydra import compose, initialize_config_dir
from mlflow import MlflowClient
from torch import nn

from drf.data.paper_descriptors import DESCRIPTORS, FACTORS
from drf.data.simulate import SimulatedMarket
from drf.evaluation.trials import Trials
from drf.experiment.composing import CONFIG_DIR
from drf.experiment.config import Record, read_recorded
from drf.models.catalogue import row_named
from drf.models.lstm import LSTM
from drf.models.portable import PortableNetwork
from drf.registry.checkup import Checkup
from drf.registry.examine import Examination
from drf.registry.forecaster import Forecaster, Spec
from drf.registry.history import Restatement
from drf.registry.manifest import digest_of, make_manifest
from drf.registry.packing import make_forecaster
from drf.registry.register import register
from drf.registry.thresholds import Thresholds
from drf.registry.training_evidence import FOLDER, TAGS_FILE, Evidence, remember
from drf.registry.versions import Version
from drf.samples.lagged import make_samples
from tests.making import LAGS, rule

LIMITS = Thresholds(
    max_replay_error=1e-9,
    min_direction=0.5,
    max_conservation_error=1e-6,
    min_fidelity=0.99,
    min_agreement=0.5,
    audit=False,
    min_months=24,
    min_sharpe_low=0.0,
    min_deflated=0.95,
    max_rank_ic_p=0.025,
    max_rank_ic=0.9,
    max_sharpe=99.0,
    min_history=0.97,
    min_better_than_linear=0.05,
    min_better=0.9,
)
TRIALS = Trials(pd.DataFrame({"sharpe": [0.1, 0.2, 0.3], "periods": [12, 12, 12]}), 3.0)
RULE = rule()
NAME = "drf-lstm-lrp"
SPEC = Spec(lags=list(LAGS), factors={name: list(names) for name, names in FACTORS.items()}, universe=None)
SOUND = Checkup(replay_error=0.0, direction=0.9, conservation_error=1e-12, fidelity=1.0)


def recorded(*overrides: str) -> str:
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        return Record.of(compose("config", overrides=list(overrides))).line


CONFIG = recorded()


def forecasts(skill: float, months: int = 36, first: str = "2000-01-31", seed: int = 0) -> pd.DataFrame:
    """Forecasts whose correlation with the return is about ``skill``, beside a benchmark without skill."""
    rng = np.random.default_rng(0)
    dates = np.repeat(pd.date_range(first, periods=months, freq="ME"), 100)
    truth = rng.normal(0, 0.1, len(dates))
    noise = np.random.default_rng(seed + 1).normal(0, 0.1, len(dates))
    return pd.DataFrame(
        {
            "date": dates,
            "asset": np.tile([f"A{k:03d}" for k in range(100)], months),
            "y_true": truth,
            "y_pred": skill * truth + noise,
            "benchmark": np.random.default_rng(seed + 1000).normal(0, 0.1, len(dates)),
        }
    )


def seen(made: pd.DataFrame, checkup: Checkup = SOUND) -> Examination:
    """What a version shows that made these forecasts, on a market that has not changed."""
    counted = ["changed_cells", "changed_returns", "dropped", "added"]
    months = pd.DataFrame(0, index=sorted(made["date"].unique()), columns=counted).assign(stands=True)
    newest = made[made["date"] == made["date"].max()].rename(columns={"y_pred": "prediction"})
    return Examination(made, newest[["date", "asset", "prediction"]], checkup, Restatement(months, {}, {}), kept=1.0)


def version(number: str, train_last: str | pd.Timestamp = "2003-01-31") -> Version:
    row = row_named("lstm_lrp")
    assert row is not None
    return Version(
        name=NAME,
        number=number,
        row=row,
        row_run="row",
        parent_run="parent",
        train_last=pd.Timestamp(train_last),
        recipe="one",
        market=None,
        config=read_recorded(CONFIG),
        tags={"market": "a small market"},
    )


@cache
def market() -> pd.DataFrame:
    return SimulatedMarket(stocks=40, months=45, seed=3, explained=0.3, style=0.0).panel()


@cache
def small_forecaster(seed: int = 0) -> Forecaster:
    """A network that has learnt something of :func:`market`."""
    samples = make_samples(market(), DESCRIPTORS, LAGS)
    rows = samples.sample_slice(range(12, 40))
    model = LSTM(hidden=4, epochs=12, validation_months=3, random_state=seed)
    return make_forecaster([[model.fit(samples.x[rows], samples.y[rows], samples.month[rows])]], SPEC)


def evidence_of(forecaster: Forecaster, panel: pd.DataFrame) -> Evidence:
    """What a training would leave whose walk-forward forecasts are those of the forecaster, but for some noise."""
    first = panel["date"].max() - pd.offsets.MonthEnd(max(LAGS))
    said = forecaster.predict(panel)[["date", "asset", "prediction"]]
    keys = panel[["date", "asset", "ret_next"]].rename(columns={"ret_next": "y_true"}).dropna()
    predictions = keys.merge(said.rename(columns={"prediction": "y_pred"})).assign(benchmark=np.nan)
    noise = np.random.default_rng(0).normal(0, 0.3 * predictions["y_pred"].std(), len(predictions))
    return Evidence(
        predictions.assign(y_pred=predictions["y_pred"] + noise),
        said[said["date"] == panel["date"].max()].reset_index(drop=True),
        remember(panel, DESCRIPTORS, first),
    )


def register_small(
    client: MlflowClient,
    forecaster: Forecaster | None = None,
    evidence: Evidence | None = None,
    config: str = CONFIG,
    **tags: str,
) -> str:
    """Register a version whose training has finished; return its number."""
    forecaster = forecaster or small_forecaster()
    experiment = client.get_experiment_by_name("drf")
    run = client.create_run(experiment.experiment_id).info.run_id
    own = {"row_run": run, "parent_run": run, "config": config, "train_last": "1991-08-31", "row": "lstm_lrp"}
    own["market"] = "a small market"
    number = register(forecaster, evidence or evidence_of(forecaster, market()), NAME, run, {**own, **tags})
    client.set_terminated(run)
    return number


def with_weights(change: Callable[[nn.Module], None], forecaster: Forecaster | None = None) -> Forecaster:
    """The forecaster with its networks changed."""
    made = []
    for member in (forecaster or small_forecaster()).groups[0]:
        assert isinstance(member, PortableNetwork)
        copy = replace(member)  # its network is copied as it is made
        change(copy.network)
        made.append(copy)
    return Forecaster(SPEC, [made])


def turned(network: nn.Module) -> None:
    """Turn the output in sign."""
    last = [layer for layer in network.modules() if isinstance(layer, nn.Linear)][-1]
    for parameter in last.parameters():
        parameter.data.neg_()


def shuffled(network: nn.Module) -> None:
    """Shuffle every layer's weights."""
    rng = np.random.default_rng(0)
    for parameter in network.parameters():
        flat = parameter.data.flatten()
        parameter.data = flat[rng.permutation(len(flat))].reshape(parameter.shape)


def as_told(made: Mapping[str, Examination]) -> Callable[..., Examination]:
    """In place of ``examine``: what each version shows."""
    return lambda client, version, panel, market: made[version.number]


def create_without_model(client: MlflowClient, folder: Path, tags: Mapping[str, str]) -> None:
    """A version that has its tags, in a file with a manifest, and nothing else."""
    file = folder / "artifacts" / "bundle" / FOLDER / TAGS_FILE
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(dict(tags)))
    text = make_manifest(folder)
    (folder / "manifest.json").write_text(text)
    shown = {key: value for key, value in tags.items() if key != "config"} | {"manifest": digest_of(text.encode())}
    client.create_model_version(NAME, source=str(folder), run_id=tags["row_run"], tags=shown)
