r"""Probability of backtest overfitting: how often the best trial in sample is below the median out of sample.

Combinatorially symmetric cross-validation (Bailey, Borwein, Lopez de Prado and Zhu 2017): the months are cut into an
even number of blocks; each half of the blocks in turn chooses the trial with the best Sharpe ratio, and the other half
ranks it among all trials. With :math:`\omega` its relative rank (rank / (N + 1)), the choice was overfitted where the
logit :math:`\ln(\omega / (1 - \omega))` is not above 0: the winner is no better than the median.
"""

from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

FEWEST_BLOCKS, MOST_BLOCKS = 4, 10


def overfitting_splits(returns: pd.DataFrame) -> pd.DataFrame:
    """Choose the best trial on each half of the blocks, and judge it on the other half.

    Args:
        returns: One row a period, one column a trial. Trials with a missing period are left out, and only one of
            several equal trials is kept.

    Returns:
        One row a split: ``chosen`` (the trial), ``in_sample`` and ``out_of_sample`` (its Sharpe ratios a period),
        ``rank`` (relative, out of sample, in (0, 1)), ``logit``. Empty if there are fewer than two trials or four
        periods.
    """
    complete = _comparable(returns)
    blocks = min(MOST_BLOCKS, len(complete) // 2) // 2 * 2
    columns = ["chosen", "in_sample", "out_of_sample", "rank", "logit"]
    if complete.shape[1] < 2 or blocks < FEWEST_BLOCKS:
        return pd.DataFrame(columns=columns)
    parts = np.array_split(complete.to_numpy(), blocks)
    count = np.array([len(part) for part in parts])
    sums, squares = (np.array([(part**power).sum(0) for part in parts]) for power in (1, 2))
    lines = []
    for half in combinations(range(blocks), blocks // 2):
        inside = np.isin(np.arange(blocks), half)
        seen, unseen = (_sharpe(count[m].sum(), sums[m].sum(0), squares[m].sum(0)) for m in (inside, ~inside))
        best = int(np.argmax(seen))
        rank = stats.rankdata(unseen)[best] / (len(unseen) + 1)
        lines.append((complete.columns[best], seen[best], unseen[best], rank, np.log(rank / (1 - rank))))
    return pd.DataFrame(lines, columns=columns)


def _comparable(returns: pd.DataFrame) -> pd.DataFrame:
    complete = returns.dropna(axis=1)
    return complete.loc[:, ~complete.T.duplicated()]


def _sharpe(n: int, total: np.ndarray, squares: np.ndarray) -> np.ndarray:
    variance = (squares - total**2 / n) / (n - 1)
    return total / n / np.sqrt(np.maximum(variance, 1e-24))


def overfitting(studies: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the probability of overfitting of every study's choice.

    Args:
        studies: Name -> returns as :func:`overfitting_splits` takes them.

    Returns:
        One row a study: ``study``, ``trials`` with complete records, ``periods``, ``splits``, ``pbo``, ``note``.
    """
    lines = []
    for name, returns in studies.items():
        splits = overfitting_splits(returns)
        trials = _comparable(returns).shape[1]
        why = f"cannot be estimated, because there are {trials} different complete trial(s) over {len(returns)} periods"
        known = len(splits) > 0
        lines.append(
            {
                "study": name,
                "trials": trials,
                "periods": len(returns),
                "splits": len(splits),
                "pbo": float((splits["logit"] <= 0).mean()) if known else np.nan,
                "note": "" if known else why,
            }
        )
    return pd.DataFrame(lines, columns=["study", "trials", "periods", "splits", "pbo", "note"])
