from __future__ import annotations

import pandas as pd

from drf.reporting.faithfulness_report import faithfulness_report


def audit(**changes: float) -> pd.DataFrame:
    good = {
        "deletion_lrp": -1.0,
        "deletion_random": 0.5,
        "insertion_lrp": 2.0,
        "insertion_random": 0.5,
        "agreement_randomised_weights": 0.0,
        "agreement_other_seeds": 0.8,
    }
    return pd.DataFrame([{"date": pd.Timestamp("2000-01-31"), "member": k, **good, **changes} for k in range(2)])


def test_a_good_map_is_called_better_than_chance_with_the_caveat_that_stays() -> None:
    report = faithfulness_report("lstm_lrp", audit())
    assert "2 trained networks" in report
    assert "better than chance" in report
    assert "DO NOT TRUST" not in report
    assert "decided in a gate" in report


def test_what_a_map_fails_is_said() -> None:
    assert "DO NOT TRUST: the map tells no better" in faithfulness_report("x", audit(deletion_lrp=0.6))
    assert "DO NOT TRUST: the map hardly changes" in faithfulness_report("x", audit(agreement_randomised_weights=0.9))
    assert "Read factors and portfolios" in faithfulness_report("x", audit(agreement_other_seeds=0.3))
