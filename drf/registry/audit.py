"""Leak suite: checks that nothing unknown at the date of a forecast reaches it.

Each check changes the data in a way that must not affect the forecast (or that validation must refuse), runs the
training's path from panel to forecast again, and compares. The suite audits what actually runs, not what was intended:
panel, universe, ranks, samples, windows and the fit of a family, on the user's own data.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from ..data.inspection import LEAST_LEAVERS, leavers_a_year
from ..data.panel import PAIRS_TO_JUDGE, RETURN, check_panel
from ..data.relations import doubts, excess, relations_of
from ..data.universe import largest
from ..errors import InputError, first_few
from ..evaluation.metrics import rank_ic
from ..experiment.factors import descriptors_of, make_factors
from ..experiment.families import make_families
from ..experiment.schema import TrainConfig
from ..models.catalogue import ModelRow
from ..models.family import Family
from ..samples.horizon import with_label
from ..samples.lagged import Samples, make_samples
from ..samples.shared_table import shared_table
from ..samples.transforms import STATE, Transform, columns_of
from ..samples.windows import Window, WindowRule, test_windows, validation_windows
from ..training.fits import Fit, fit_here
from ..training.forecasts import forecast_table

# Number of months over which shuffled returns are forecast, and level of the interval that must contain their rank IC.
SHUFFLED_MONTHS, LEVEL = 12, 0.999

# A smaller panel may well lose no stock.
_STOCKS_TO_JUDGE, _MONTHS_TO_JUDGE = 50, 24


@dataclass(frozen=True)
class Protocol:
    """Path of a training from a market's panel to forecasts.

    Attributes:
        inputs, transforms, window, universe: As in the training.
        quantiles: Number of quantiles of the portfolios; each month has at least that many stocks.
        validation_months, folds: Validation months and folds of its tuning; 0 months if untuned.
    """

    inputs: Sequence[str]
    transforms: Mapping[str, Transform]
    window: WindowRule
    universe: int | None
    quantiles: int
    validation_months: int
    folds: int

    def samples(self, market: pd.DataFrame) -> Samples:
        rule, chosen = self.window, largest(with_label(market, self.window.horizon), self.universe)
        return make_samples(chosen, self.inputs, rule.lags, rule.target, shared_table, self.transforms)

    @property
    def descriptors(self) -> list[str]:
        """Panel columns that differ between the stocks of a date."""
        return [name for name in columns_of(self.inputs) if not name.startswith(STATE)]

    def windows(self, samples: Samples) -> list[Window]:
        return test_windows(samples, self.window)


@dataclass(frozen=True)
class Check:
    """One check: measured value, threshold, and the verdict in words."""

    check: str
    value: float
    threshold: float
    passed: bool
    reason: str


def audit(market: pd.DataFrame, family: Family, protocol: Protocol, seed: int) -> pd.DataFrame:
    """Run all checks.

    Args:
        market: Panel in contract form, all stocks.
        family: Family, fitted anew with one seed where a check needs forecasts.
        protocol, seed: As in the training that is audited.

    Returns:
        One row per check: ``check``, ``value``, ``threshold``, ``passed``, ``reason``.
    """
    checks = [
        future_changes_nothing(market, family, protocol, seed),
        shuffled_returns_are_not_forecast(market, family, protocol, seed),
        no_descriptor_holds_the_return(market, protocol),
        shifted_panel_is_refused(market, protocol),
        ranks_know_their_month_alone(market, protocol),
        no_month_is_seen_before_its_test(market, protocol),
        stocks_leave_the_market(market),
    ]
    return pd.DataFrame([vars(check) for check in checks])


def audit_training(market: pd.DataFrame, config: TrainConfig, row: ModelRow) -> pd.DataFrame:
    """Audit a training from its configuration: the family of the row, or each family of a blend."""
    every = make_families(config.model, tuned=False)
    behind = next(family.trained for family in every if family.name == row.family)
    families = [family for family in every if family.name in behind]
    inputs = descriptors_of(make_factors(config.factors, config.data))
    protocol = Protocol(
        inputs=inputs,
        transforms=config.samples.transforms_of(inputs),
        window=config.window,
        universe=config.data.universe,
        quantiles=config.portfolio.quantiles,
        validation_months=config.tuning.validation_months if config.tuning.trials else 0,
        folds=config.tuning.folds,
    )
    try:
        found = {family.name: audit(market, family, protocol, config.seed) for family in families}
    except InputError as error:
        return could_not_run(str(error))
    if len(found) == 1:
        return found[families[0].name]
    named = [table.assign(check=f"{name}: " + table["check"]) for name, table in found.items()]
    return pd.concat(named, ignore_index=True)


def could_not_run(why: str) -> pd.DataFrame:
    """Return the table of an audit that could not be run, which no version passes."""
    return pd.DataFrame([vars(Check("the audit can be run", 0.0, 1.0, False, why))])


def future_changes_nothing(market: pd.DataFrame, family: Family, protocol: Protocol, seed: int) -> Check:
    """Change descriptors after a month and returns from that month on, and remove stocks; the month's forecast must not
    change."""
    samples = protocol.samples(market)
    windows = protocol.windows(samples)
    month = samples.dates[windows[len(windows) // 2].test.start]
    other = _with_another_future(market, columns_of(protocol.inputs), month)
    before, after = (_forecast(table, family, protocol, seed, month) for table in (market, other))
    same_stocks = before.index.equals(after.index)
    moved = float((before - after).abs().max()) if same_stocks else float("inf")
    if not same_stocks:
        reason = f"with another future other stocks are forecast in {month.date()}"
    else:
        reason = f"with another future after {month.date()} its forecasts move by {moved:.2g}"
    return Check("the future changes no forecast", moved, 0.0, moved == 0, reason)


def _with_another_future(market: pd.DataFrame, descriptors: Sequence[str], month: pd.Timestamp) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    other = market.copy()
    later = (other["date"] > month).to_numpy()
    for name in descriptors:
        values = other.loc[later, name].to_numpy()
        other.loc[later, name] = rng.permutation(values) + rng.standard_normal(len(values))
    unknown = (other["date"] >= month).to_numpy() & other[RETURN].notna().to_numpy()
    other.loc[unknown, RETURN] = rng.normal(0, 0.2, unknown.sum()).clip(-0.9)
    names = np.sort(other["asset"].unique())
    vanishing = set(rng.choice(names, len(names) // 5, replace=False))
    return other[~(later & other["asset"].isin(vanishing))].reset_index(drop=True)


def _forecast(market: pd.DataFrame, family: Family, protocol: Protocol, seed: int, month: pd.Timestamp) -> pd.Series:
    """Return forecasts for the stocks of one month, made as a training would make them."""
    samples = protocol.samples(market)
    position = int(samples.dates.get_indexer(pd.DatetimeIndex([month]))[0])
    (window,) = (window for window in protocol.windows(samples) if position in window.test)
    model = fit_here(samples, Fit(family, window, 0, seed))
    chosen = samples.sample_slice(range(position, position + 1))
    return pd.Series(model.predict(samples.x[chosen]), index=samples.asset[chosen])


def shuffled_returns_are_not_forecast(market: pd.DataFrame, family: Family, protocol: Protocol, seed: int) -> Check:
    """Shuffle each month's returns among its stocks: only a leak could still forecast them."""
    rng = np.random.default_rng(0)
    returns = market.groupby("date")[RETURN].transform(lambda month: rng.permutation(month.to_numpy()))
    samples = protocol.samples(market.assign(**{RETURN: returns}))
    parts, months = [], 0
    for window in reversed(protocol.windows(samples)):
        model = fit_here(samples, Fit(family, window, 0, seed))
        tested = samples.sample_slice(window.test)
        parts.append(forecast_table(samples, tested, model.predict(samples.x[tested])))
        months += len(window.test)
        if months >= SHUFFLED_MONTHS:
            break
    known = pd.concat(parts).dropna(subset=["y_true"])
    ic, stocks = rank_ic(known), known.groupby("date").size()
    mean = float(ic.mean())
    # With shuffled returns, each month's rank correlation has mean 0 and variance 1 / (n - 1), whatever the forecast
    # is.
    deviation = float(np.sqrt((1 / (stocks - 1)).sum()) / len(ic))
    bound = float(stats.norm.ppf((1 + LEVEL) / 2)) * deviation
    reason = f"rank IC {mean:.4f} over {len(ic)} months of shuffled returns, allowed are {bound:.4f} around 0"
    return Check("shuffled returns are not forecast", abs(mean), bound, abs(mean) <= bound, reason)


def no_descriptor_holds_the_return(market: pd.DataFrame, protocol: Protocol) -> Check:
    """Look for a column that is related to later returns too well to have been known in advance."""
    name = "no descriptor holds the return"
    table = relations_of(largest(market, protocol.universe), protocol.descriptors, protocol.window.lags)
    if table.empty:
        return Check(name, float("nan"), 0.0, True, "not judged: the panel is too small to tell")
    worst = float(excess(table).max())
    reason = first_few(doubts(table)) or (
        f"{len(table):,} relations of columns with later returns, by lag and group: the largest is {-worst:.3f} below "
        "what is credible"
    )
    return Check(name, worst, 0.0, worst <= 0, reason)


def shifted_panel_is_refused(market: pd.DataFrame, protocol: Protocol) -> Check:
    """Shift the returns by one month: validation must refuse returns that a descriptor already shows."""
    name = "a shifted panel is refused"
    if "MOM1" not in protocol.descriptors or market.groupby("date").size().max() < PAIRS_TO_JUDGE:
        why = f"not judged: it takes MOM1 and {PAIRS_TO_JUDGE} stocks a month to see whether returns line up"
        return Check(name, float("nan"), 1.0, True, why)
    shifted = market.assign(**{RETURN: market.groupby("asset")[RETURN].shift(1)})
    try:
        check_panel(shifted, protocol.descriptors, protocol.quantiles)
    except InputError as error:
        objected = "line up" in str(error)
        return Check(name, float(objected), 1.0, objected, str(error))
    return Check(name, 0.0, 1.0, False, "returns shifted by a month go unnoticed")


def ranks_know_their_month_alone(market: pd.DataFrame, protocol: Protocol) -> Check:
    """Cut the panel after a month: the samples up to it must stay as they are."""
    whole = protocol.samples(market)
    last = whole.first_month + (len(whole.dates) - whole.first_month) // 2
    month = whole.dates[last]
    cut = protocol.samples(market[market["date"] <= month])
    earlier = whole.sample_slice(range(last + 1))
    before = whole.x.part(earlier)
    same = cut.x.shape == before.shape and np.array_equal(cut.asset, whole.asset[earlier])
    moved = float("inf")
    if same:
        pairs = zip(cut.x.blocks(), before.blocks(), strict=True)
        moved = max(float(np.abs(one - other).max()) for one, other in pairs)
    known = cut.month <= last - (protocol.window.horizon - 1)  # later labels end after the cut
    targets = same and np.array_equal(cut.y[known], whole.y[earlier][known], equal_nan=True)
    what = "inputs" if targets else "stocks or targets"
    reason = f"without the months after {month.date()} {what} of the samples before move by {moved:.2g}"
    return Check("ranks and targets know their month alone", moved, 0.0, moved == 0 and targets, reason)


def no_month_is_seen_before_its_test(market: pd.DataFrame, protocol: Protocol) -> Check:
    """Check that training ends before the test month, and tuning before the first test month."""
    samples = protocol.samples(market)
    windows = protocol.windows(samples)
    first = windows[0].test.start
    tuned = []
    if protocol.validation_months:
        tuned = validation_windows(samples, protocol.window, first, protocol.validation_months, protocol.folds)
    gap = protocol.window.horizon - 1
    overlaps = [max(0, window.train.stop + gap - window.test.start) for window in (*windows, *tuned)]
    overlaps += [max(0, window.test.stop - first) for window in tuned]
    worst = float(max(overlaps))
    reason = f"{len(windows)} test and {len(tuned)} tuning windows: {worst:.0f} months of overlap"
    return Check("no month is seen before its test", worst, 0.0, worst == 0, reason)


def stocks_leave_the_market(market: pd.DataFrame) -> Check:
    """Check that some stocks end before the panel does, as in a market recorded without hindsight."""
    a_year, stocks = leavers_a_year(market), market["asset"].nunique()
    small = stocks < _STOCKS_TO_JUDGE or market["date"].nunique() < _MONTHS_TO_JUDGE
    reason = f"{100 * a_year:.2f} % of {stocks} stocks leave a year, needed are {100 * LEAST_LEAVERS:g}"
    if small:
        reason = "not judged: the panel is too small to tell"
    elif a_year < LEAST_LEAVERS:
        reason += ": only survivors are in the panel, add those that were delisted"
    return Check("stocks leave the market", a_year, LEAST_LEAVERS, small or a_year >= LEAST_LEAVERS, reason)
