from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from drf.evaluation.overfitting import overfitting, overfitting_splits


def trials(values: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(values, columns=[str(k) for k in range(values.shape[1])])


def test_it_agrees_with_the_procedure_step_by_step() -> None:
    returns = trials(np.random.default_rng(0).normal(0.1, 1, (25, 6)))
    blocks = np.array_split(np.arange(25), 10)
    logits = []
    for half in combinations(range(10), 5):
        inside = np.concatenate([blocks[k] for k in half])
        outside = np.setdiff1d(np.arange(25), inside)
        ratio = [returns.iloc[rows].mean() / returns.iloc[rows].std() for rows in (inside, outside)]
        rank = stats.rankdata(ratio[1])[ratio[0].argmax()] / 7
        logits.append(np.log(rank / (1 - rank)))
    splits = overfitting_splits(returns)
    assert splits["logit"].tolist() == pytest.approx(logits)
    assert overfitting({"a": returns})["pbo"].item() == pytest.approx(np.mean(np.array(logits) <= 0))


@pytest.mark.long
def test_noise_is_overfitted_half_the_time_and_skill_never() -> None:
    rng = np.random.default_rng(1)
    noise = [overfitting({"n": trials(rng.standard_normal((24, 9)))})["pbo"].item() for _ in range(60)]
    assert np.mean(noise) == pytest.approx(0.5, abs=0.1)
    skill = rng.standard_normal((24, 9)) * 0.1
    skill[:, 4] += 1
    assert overfitting({"s": trials(skill)})["pbo"].item() == 0


def test_incomplete_trials_are_left_out_and_too_few_say_so() -> None:
    returns = trials(np.random.default_rng(0).standard_normal((12, 3)))
    returns.iloc[4:, 1:] = np.nan
    line = overfitting({"a": returns}).iloc[0]
    assert (line["trials"], line["splits"]) == (1, 0)
    assert line["note"] == "cannot be estimated, because there are 1 different complete trial(s) over 12 periods"
    assert overfitting({"a": pd.concat([returns[["0"]]] * 2, axis=1)})["trials"].item() == 1
    assert overfitting({"a": trials(np.random.default_rng(0).standard_normal((6, 3)))})["splits"].item() == 0


def test_the_ratios_of_a_split_are_those_of_its_months() -> None:
    returns = pd.DataFrame(np.random.default_rng(5).normal(0.01, 0.02, (8, 3)), columns=list("abc"))
    splits = overfitting_splits(returns)
    inside, outside = returns.iloc[:4], returns.iloc[4:]  # the first half of four blocks, as combinations go
    ratios = inside.mean() / inside.std()
    line = splits.iloc[0]
    assert line["chosen"] == ratios.idxmax()
    assert line["in_sample"] == pytest.approx(ratios.max())
    chosen = outside[line["chosen"]]
    assert line["out_of_sample"] == pytest.approx(chosen.mean() / chosen.std())
