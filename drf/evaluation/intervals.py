r"""Intervals of Sharpe ratios and of their differences, by formula; nothing is drawn at random.

With :math:`\hat S` the Sharpe ratio a period and :math:`z_t` the standardised returns, the ratio's error is the mean of

.. math::  u_t = z_t - \frac{\hat S}{2} (z_t^2 - 1)

(the delta method, as in Lo 2002 and Mertens 2002). Neighbouring periods know of each other, so the variance of that
mean is the long-run variance of :math:`u`, prewhitened by an autoregression of order one (Andrews and Monahan 1992),

.. math::  \widehat{\mathrm{var}}(\hat S) = \frac{\hat\gamma_0}{n - 1} \frac{1 + \rho}{1 - \rho}, \qquad
           \rho = \frac{n}{n + 10} \left( \hat\rho + \frac{1 + 3 \hat\rho}{n} \right) ,

where the bracket corrects the bias of an autocorrelation from few periods (Marriott and Pope 1954; Kendall 1954). The
fraction in front weighs this estimate against a prior of mean 0 and variance 1/10. An autocorrelation estimated from n
periods has a variance of 1/n, and in short records this noise would account for most of the width. The interval takes
Student's t with n - 1 degrees of freedom. ``benchmarks/size_and_power.py intervals`` measures coverage and width.
"""

import numpy as np
import pandas as pd
from scipy import stats

from ..data.calendar import in_force

LEAST_PERIODS = 24
"""Fewest periods for an interval; with fewer, its width reflects chance more than knowledge."""

_MOST_CORRELATED = 0.9

_PRIOR_PERIODS = 10


def sharpe_intervals(returns: pd.DataFrame, benchmark: str | None = None, level: float = 0.95) -> pd.DataFrame:
    """Return Sharpe ratios with intervals, each on its own periods, and differences from a benchmark on common periods.

    The results of a row do not depend on the other rows.

    Args:
        returns: One row per period in chronological order, one column per row of the comparison; NaN where it has no
            return.
        benchmark: The column to compare with.
        level: Confidence that the interval holds the true value.

    Returns:
        One row per column: ``row``, ``periods``, annualised ``sharpe`` with ``low`` and ``high``, and ``note``, which
        says what cannot be estimated and why. With a benchmark, also ``difference`` from it with ``difference_low`` and
        ``difference_high``, and ``better``, the probability that the row's true ratio is higher (0.5 for equal
        returns). All are empty for the benchmark itself.
    """
    lines = [{"row": name, **_own(returns[name].dropna().to_numpy(), level)} for name in returns]
    table = pd.DataFrame(lines).assign(note=lambda made: made.pop("note"))
    if benchmark is None:
        return table
    pairs = [_difference(returns[[name, benchmark]].dropna().to_numpy(), level) for name in returns]
    table[["difference", "difference_low", "difference_high", "better"]] = pairs
    table.loc[table["row"] == benchmark, ["difference", "difference_low", "difference_high", "better"]] = np.nan
    return table[[*table.columns.drop("note"), "note"]]


def _own(values: np.ndarray, level: float) -> dict[str, object]:
    line: dict[str, object] = {"periods": len(values), "sharpe": np.nan, "low": np.nan, "high": np.nan}
    if len(values) < LEAST_PERIODS:
        few = f"there are only {len(values)} periods ({LEAST_PERIODS} needed)"
        return {**line, "note": f"cannot be estimated, because {few}"}
    if not values.std(ddof=1) > 1e-12:
        return {**line, "note": "cannot be estimated, because the returns do not vary"}
    ratio, year = _sharpe(values), np.sqrt(in_force().periods_a_year)
    low, high, _ = _interval(ratio, _error(_influence(values)), len(values), level)
    return {**line, "sharpe": ratio * year, "low": low * year, "high": high * year, "note": ""}


def _difference(pair: np.ndarray, level: float) -> tuple[float, float, float, float]:
    """Return the first column's ratio less the second's, its interval, and the probability that it is above 0."""
    a, b = pair.T
    if len(pair) < LEAST_PERIODS or not min(a.std(), b.std()) > 1e-12:
        return (np.nan, np.nan, np.nan, np.nan)
    apart = _sharpe(a) - _sharpe(b)
    low, high, above = _interval(apart, _error(_influence(a) - _influence(b)), len(pair), level)
    year = np.sqrt(in_force().periods_a_year)
    return apart * year, low * year, high * year, above


def _sharpe(values: np.ndarray) -> float:
    return float(values.mean() / values.std(ddof=1))


def _influence(values: np.ndarray) -> np.ndarray:
    """Return the influence of each period on the ratio."""
    z = (values - values.mean()) / values.std()
    return z - _sharpe(values) / 2 * (z**2 - 1)


def _error(influence: np.ndarray) -> float:
    """Return the standard error of the mean of ``influence``, whose own mean is 0."""
    n, power = len(influence), float((influence**2).sum())
    if power <= 1e-24 * n:
        return 0.0
    raw = float((influence[1:] * influence[:-1]).sum()) / power
    rho = n / (n + _PRIOR_PERIODS) * np.clip(raw + (1 + 3 * raw) / n, -_MOST_CORRELATED, _MOST_CORRELATED)
    return float(np.sqrt(power / n / (n - 1) * (1 + rho) / (1 - rho)))


def _interval(value: float, error: float, periods: int, level: float) -> tuple[float, float, float]:
    """Return low and high end, and the probability that the true value is above 0."""
    if error == 0:
        return value, value, 0.5 + 0.5 * float(np.sign(value))
    reach = stats.t.ppf((1 + level) / 2, periods - 1) * error
    return value - reach, value + reach, float(stats.t.cdf(value / error, periods - 1))
