"""Searches on a market: the trials that MLflow holds in any experiment, counted once by recipe."""

import tempfile
from collections.abc import Iterable, Mapping

import mlflow
import numpy as np
import pandas as pd
from mlflow.entities import Run, ViewType
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from ..data.calendar import MONTHLY, WEEKLY, in_force, named
from ..evaluation.trials import Trials, count_trials

RECIPE, MARKET = "recipe", "market_returns"
"""Tags of a training: its recipe (:func:`drf.experiment.identity.recipe_of`), and its market."""

TRIALS, TRIED = "evidence/trials.csv", "trials_tried"
"""Artifact with ``date`` and one column of monthly returns after costs per trial and row of a training; and the metric
that counts these columns."""

# Mean returns of a market's stocks agree at least this well despite differences in universe, vendor and restatements;
# different markets agree less.
_SAME_MARKET, _LEAST_COMMON = 0.9, 12


def market_returns(panel: pd.DataFrame) -> pd.Series:
    """Return the mean return of a panel's stocks in each month, which tells markets apart."""
    return panel.groupby("date")["ret_next"].mean().dropna()


def as_tag(returns: pd.Series) -> str:
    """Return market returns as text: the first month, then basis points month by month."""
    months = returns.reindex(in_force().between(returns.index[0], returns.index[-1]))
    points = ["-" if np.isnan(value) else str(round(value * 1e4)) for value in months]
    return f"{named(months.index[0])}: {' '.join(points)}"


def from_tag(text: str | None) -> pd.Series | None:
    """Parse the text of :func:`as_tag`; None if the text has another form."""
    try:
        return None if text is None else _parsed(text)
    except Exception:  # anybody can write a tag
        return None


def _parsed(text: str) -> pd.Series:
    first, _, points = text.partition(": ")
    values = [np.nan if point == "-" else float(point) / 1e4 for point in points.split()]
    calendar = MONTHLY if len(first) == len("2000-01") else WEEKLY
    return pd.Series(values, calendar.starting(pd.Timestamp(first), len(values)), dtype=float).dropna()


def same_market(a: pd.Series, b: pd.Series) -> bool:
    """Tell whether two series of mean returns are of one market; True if that cannot be decided."""
    pair = pd.concat([a, b], axis=1, join="inner").dropna()
    if len(pair) < _LEAST_COMMON:
        return True
    return not pair.iloc[:, 0].corr(pair.iloc[:, 1]) < _SAME_MARKET  # if in doubt, they count as the same


def trials_on(market: pd.Series | None, own: Mapping[str, pd.DataFrame] | None = None) -> Trials:
    """Return all trials on a market, in any experiment of the store.

    Training a recipe again, a month later or after an interruption, tries nothing new. Per recipe, only the training
    with the most trials counts; if several have equally many, the newest. Failed or deleted runs count too, if they got
    far enough to show a result.

    Args:
        market: See :func:`market_returns`; None: on any market.
        own: Recipe -> returns of the trials of a training in progress; earlier trainings of that recipe do not count.
    """
    client = mlflow.MlflowClient()
    experiments = _all_experiments(client)
    trainings = [run for run in _all_runs(client, experiments, "tags.kind = 'comparison'") if _is_on(run, market)]
    searches: dict[str, pd.DataFrame] = dict(own or {})
    unread: list[Run] = []
    for run in sorted(trainings, key=lambda run: run.info.start_time, reverse=True):
        recipe = run.data.tags.get(RECIPE)
        if own and recipe in own:
            continue
        table = _returns_of(client, run) if recipe else None
        if recipe is None or table is None:
            unread.append(run)
        elif recipe not in searches or table.shape[1] > searches[recipe].shape[1]:
            searches[recipe] = table
    left = [run for run in unread if run.data.tags.get(RECIPE) not in searches]
    return count_trials(list(searches.values()), _seen_in(client, left))


def decisions_on(client: mlflow.MlflowClient, name: str) -> list[Run]:
    """Return the runs of all evaluations of a registered model, in any experiment of the store."""
    return _all_runs(client, _all_experiments(client), f"tags.kind = 'evaluation' and tags.registered_model = '{name}'")


def _is_on(training: Run, market: pd.Series | None) -> bool:
    written = from_tag(training.data.tags.get(MARKET))
    return market is None or written is None or same_market(written, market)


def _returns_of(client: mlflow.MlflowClient, training: Run) -> pd.DataFrame | None:
    """Return the logged returns of a training; None if they are absent or incomplete."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            file = client.download_artifacts(training.info.run_id, TRIALS, folder)
            table = pd.read_csv(file, index_col="date", parse_dates=["date"]).astype(float)
    except Exception:  # each kind of store has exceptions of its own
        return None
    dated = isinstance(table.index, pd.DatetimeIndex) and table.index.tz is None
    if not dated or table.empty or not table.index.is_unique or table.index.isna().any():
        return None
    return table if table.shape[1] == training.data.metrics.get(TRIED, table.shape[1]) else None


def _seen_in(client: mlflow.MlflowClient, trainings: Iterable[Run]) -> pd.DataFrame:
    """Return trials and rows of trainings that left no returns; equal names within one recipe count once."""
    recipes = {run.info.run_id: run.data.tags.get(RECIPE, run.info.run_id) for run in trainings}
    experiments = sorted({run.info.experiment_id for run in trainings})
    lines = []
    rows = _all_runs(client, experiments, "tags.kind = 'row'") if recipes else []
    trials = _all_runs(client, experiments, "tags.kind = 'trial'") if recipes else []
    parents = {run.info.run_id: run.data.tags.get(MLFLOW_PARENT_RUN_ID) for run in rows}
    for run in (*rows, *trials):
        parent = run.data.tags.get(MLFLOW_PARENT_RUN_ID)
        training = parents.get(parent, parent)
        metrics = run.data.metrics
        if training in recipes and ("sharpe_net" in metrics or "cv_rmse" in metrics):
            sharpe = metrics.get("sharpe_net", np.nan) / np.sqrt(in_force().periods_a_year)
            line = {"name": run.info.run_name, "sharpe": sharpe, "periods": metrics.get("periods", np.nan)}
            lines.append({"recipe": recipes[str(training)], **line})
    table = pd.DataFrame(lines, columns=["recipe", "name", "sharpe", "periods"])
    return table.drop_duplicates(["recipe", "name"], ignore_index=True).drop(columns="recipe")


def _all_experiments(client: mlflow.MlflowClient) -> list[str]:
    identifiers: list[str] = []
    token = None
    while True:
        page = client.search_experiments(view_type=ViewType.ALL, page_token=token)
        identifiers += [entry.experiment_id for entry in page]
        token = page.token
        if not token:
            return identifiers


def _all_runs(client: mlflow.MlflowClient, experiment_ids: list[str], query: str) -> list[Run]:
    runs: list[Run] = []
    token = None
    while True:
        page = client.search_runs(experiment_ids, query, run_view_type=ViewType.ALL, max_results=1000, page_token=token)
        runs += page
        token = page.token
        if not token:
            return runs
