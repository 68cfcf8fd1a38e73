"""The decision, on forecasts made by hand, and the aliases in a real registry."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import mlflow
import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from mlflow import MlflowClient
from scipy import stats

from drf.cli.program import CONFIG_DIR
from drf.data.panel import fingerprint
from drf.evaluation.bootstrap import sharpe_intervals
from drf.evaluation.hac import hac_mean
from drf.evaluation.metrics import monthly_series, summarise
from drf.evaluation.sharpe import sharpe_evidence
from drf.experiment.config import Record, read_recorded
from drf.models.rows import row_named
from drf.registry import promote, versions
from drf.registry.decision import Decision, complete_reports
from drf.registry.gates import SCORES, Checkup, Thresholds, Verdict, audit_verdict, judge, score
from drf.registry.promote import apply, decide
from drf.registry.rollback import roll_back
from drf.registry.versions import (
    CHAMPION,
    PREVIOUS,
    REJECTED,
    RegisteredVersions,
    Version,
    read_versions,
    trials_behind,
)
from tests.making import rule

LIMITS = Thresholds(
    min_months=24,
    min_sharpe_low=0.0,
    min_deflated=0.95,
    max_rank_ic_p=0.025,
    min_better=0.5,
    max_conservation_error=1e-6,
    min_fidelity=0.99,
    audit=False,
)
TRIALS = pd.DataFrame({"sharpe": [0.1, 0.2, 0.3], "periods": [12, 12, 12]})
RULE = rule()
NAME = "drf-lstm-lrp"


def recorded() -> str:
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        return Record.of(compose("config")).line


CONFIG = recorded()


def forecasts(skill: float, months: int = 36, first: str = "2000-01-31", seed: int = 0) -> pd.DataFrame:
    """Forecasts whose correlation with the return is about ``skill``."""
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
        }
    )


def version(number: str, history: str = "history", train_last: str | pd.Timestamp = "2003-01-31") -> Version:
    row = row_named("lstm_lrp")
    assert row is not None
    return Version(NAME, number, row, "row", "parent", history, pd.Timestamp(train_last), read_recorded(CONFIG))


def decision(
    monkeypatch: pytest.MonkeyPatch,
    made: dict[str, pd.DataFrame],
    champion: str | None = None,
    previous: str | None = None,
    error: float = 1e-12,
    left_aside: dict[str, str] | None = None,
    audit: promote.Audit | None = None,
) -> Decision:
    monkeypatch.setattr(promote, "unseen_forecasts", lambda client, version, *_: made[version.number])
    monkeypatch.setattr(promote, "check_up", lambda version, panel: Checkup(error, 1.0))
    monkeypatch.setattr(promote, "trials_behind", lambda client, name: TRIALS)
    known = RegisteredVersions([version(number) for number in made], left_aside or {}, champion, previous)
    return decide(MlflowClient(), known, pd.DataFrame(), RULE, LIMITS, audit)


def test_the_best_that_passes_every_gate_is_promoted(monkeypatch: pytest.MonkeyPatch) -> None:
    made = decision(monkeypatch, {"1": forecasts(0.2), "2": forecasts(0.4), "3": forecasts(0.0)})
    assert made.promoted == made.champion == "2"
    assert made.previous is None
    assert not made.rejected
    assert len(made.scores) == 3
    assert not made.gates.query("version == '3' and gate == 'rank IC t-statistic'")["passed"].item()


def test_a_better_one_replaces_the_champion_which_becomes_previous(monkeypatch: pytest.MonkeyPatch) -> None:
    made = decision(monkeypatch, {"1": forecasts(0.2), "2": forecasts(0.4)}, champion="1", previous="0")
    assert (made.promoted, made.champion, made.previous) == ("2", "2", "1")


def test_one_that_is_not_better_is_neither_promoted_nor_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    for skill in (0.4, 0.3):  # the champion's equal, and worse
        made = decision(monkeypatch, {"1": forecasts(0.4), "2": forecasts(skill)}, champion="1", previous="0")
        assert (made.promoted, made.champion, made.previous) == (None, "1", "0")
        assert not made.rejected
        assert "not worse than the champion" in made.reason


def test_noise_is_not_promoted(monkeypatch: pytest.MonkeyPatch) -> None:
    made = decision(monkeypatch, {str(k): forecasts(0.0, seed=k) for k in range(5)})
    assert made.promoted is None
    assert "no version passed every gate" in made.reason


def test_the_previous_champion_is_never_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    made = decision(monkeypatch, {"1": forecasts(0.4), "2": forecasts(0.4)}, champion="2", previous="1", error=1.0)
    assert not made.rejected


def test_books_that_do_not_close_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (1e-3, float("nan")):
        made = decision(monkeypatch, {"1": forecasts(0.4)}, error=error)
        assert made.promoted is None
        assert "conservation" in made.rejected["1"]


def test_versions_are_compared_on_common_months_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Version 2 is perfect, but only before the months that it shares with version 1."""
    early, late = forecasts(5.0, 12), forecasts(0.2, 30, "2001-01-31")
    made = decision(monkeypatch, {"1": forecasts(0.3, 30, "2001-01-31"), "2": pd.concat([early, late])})
    assert made.promoted == "1"
    assert made.months == (pd.Timestamp("2001-01-31"), pd.Timestamp("2003-06-30"))
    assert (made.scores["months"] == 30).all()


def test_too_few_months_promote_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = decision(monkeypatch, {"1": forecasts(0.4, 23)})
    assert alone.promoted is None
    assert "23 month(s)" in alone.left_aside["1"]
    apart = decision(monkeypatch, {"1": forecasts(0.4, 30), "2": forecasts(0.4, 30, "2001-01-31")})
    assert apart.promoted is None
    assert "only 18 month(s)" in apart.reason


def test_a_version_with_few_months_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    made = decision(monkeypatch, {"1": forecasts(0.4, 36), "2": forecasts(0.9, 6)})
    assert made.promoted == "1"
    assert "2" in made.left_aside


def test_a_champion_that_cannot_be_compared_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    made = decision(monkeypatch, {"1": forecasts(0.2, 3), "2": forecasts(0.9)}, champion="1")
    assert (made.promoted, made.champion) == (None, "1")
    assert "registry.name" in made.reason


def test_scores_agree_with_the_comparison_and_t_with_its_definition() -> None:
    from drf.evaluation.metrics import rank_ic

    made = forecasts(0.2)
    scores, ic = score({"1": made}, TRIALS, None, RULE).loc["1"], rank_ic(made).to_numpy()
    assert scores["sharpe_net"] == summarise(made, RULE)["sharpe_net"]
    assert scores["rank_ic_t"] == pytest.approx(hac_mean(pd.DataFrame({"ic": ic}))["t"]["ic"])


def test_what_cannot_be_estimated_does_not_pass() -> None:
    nan = float("nan")
    scores = pd.Series(
        {
            "months": 30,
            "sharpe_low": nan,
            "deflated": 0.99,
            "rank_ic_t": 3.0,
            "rank_ic_df": 12,
            "trials": 3,
            "better": nan,
        }
    )
    failed = [verdict.gate for verdict in judge(scores, Checkup(0.0, 1.0), "1", LIMITS) if not verdict.passed]
    assert failed == ["Sharpe after costs, low end of interval", "not worse than the champion"]


def test_many_trials_deflate_a_sharpe_ratio_below_the_gate() -> None:
    made = {"1": forecasts(0.08)}
    few, many = (
        score(made, pd.DataFrame({"sharpe": np.resize([-0.2, 0.2], n), "periods": 36}), None, RULE)["deflated"]
        for n in (2, 500)
    )
    assert few["1"] > 0.95 > many["1"]


def test_a_failed_audit_keeps_a_version_from_promotion(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(version: Version) -> pd.DataFrame:
        return pd.DataFrame({"check": ["a", "b"], "passed": [True, False], "reason": ["", "the future leaks"]})

    made = decision(monkeypatch, {"1": forecasts(0.4)}, audit=failing)
    assert made.promoted is None
    assert "audit: b: the future leaks" in made.reason
    assert decision(monkeypatch, {"1": forecasts(0.4)}, audit=lambda version: failing(version)[:1]).promoted == "1"


@pytest.fixture
def registry(store: str) -> MlflowClient:
    """Three finished versions of a registered model, and one whose training was killed."""
    client = MlflowClient()
    experiment = client.get_experiment_by_name("drf").experiment_id
    client.create_registered_model(NAME)
    for number in range(1, 5):
        run = client.create_run(experiment).info.run_id
        if number < 4:
            client.set_terminated(run)
        tags = {"row_run": run, "parent_run": run, "train_last": "2003-01-31"}
        tags |= {"history_fingerprint": "x", "config": CONFIG}
        client.create_model_version(NAME, source=f"s3://nowhere/{number}", run_id=run, tags=tags)
    client.create_model_version(NAME, source="s3://nowhere/5", tags={"row_run": "x"})
    return client


def decided(promoted: str | None, champion: str | None, previous: str | None, **rejected: str) -> Decision:
    return Decision(champion, previous, promoted, "because", rejected={k[1:]: v for k, v in rejected.items()})


def test_killed_and_half_registered_versions_are_left_aside(registry: MlflowClient) -> None:
    known = read_versions(registry, NAME)
    assert [version.number for version in known.versions] == ["1", "2", "3"]
    assert "RUNNING" in known.left_aside["4"]
    assert "did not finish" in known.left_aside["5"]


def test_a_version_whose_run_was_deleted_is_left_aside(registry: MlflowClient) -> None:
    registry.delete_run(registry.get_model_version(NAME, "2").tags["parent_run"])
    known = read_versions(registry, NAME)
    assert [version.number for version in known.versions] == ["1", "3"]
    assert "deleted" in known.left_aside["2"]


def test_a_version_that_cannot_be_read_holds_up_no_other(
    registry: MlflowClient, monkeypatch: pytest.MonkeyPatch, panel: pd.DataFrame
) -> None:
    """The registry's versions have no files at all."""
    made = decide(registry, read_versions(registry, NAME), panel, RULE, LIMITS, None)
    assert made.promoted is None
    assert "cannot be used" in made.left_aside["1"]


def test_aliases_move_and_roll_back(registry: MlflowClient) -> None:
    apply(registry, NAME, decided("1", "1", None, v3="Sharpe after costs: 0.1"))
    apply(registry, NAME, decided("2", "2", "1"))
    known = read_versions(registry, NAME)
    assert (known.champion, known.previous) == ("2", "1")
    assert "Sharpe after costs: 0.1" in known.left_aside["3"]

    rolled = roll_back(registry, NAME, known)
    assert (rolled.champion, rolled.previous) == ("1", None)
    known = read_versions(registry, NAME)
    assert (known.champion, known.previous) == ("1", None)
    assert registry.get_model_version(NAME, "1").tags["verdict"] == "promoted"
    assert registry.get_model_version(NAME, "2").tags["verdict"] == REJECTED  # or it would be promoted again
    assert str(registry.get_model_version_by_alias(NAME, CHAMPION).version) == "1"
    assert PREVIOUS not in registry.get_registered_model(NAME).aliases


def test_nothing_promoted_moves_nothing(registry: MlflowClient) -> None:
    apply(registry, NAME, decided(None, None, None))
    assert read_versions(registry, NAME).champion is None


def test_an_empty_registry_has_no_versions(store: str) -> None:
    assert read_versions(MlflowClient(), NAME) == RegisteredVersions([], {}, None, None)


class Unseen:
    """A version trained to month 30 of a panel, with logged walk-forward forecasts of months 20 to 30."""

    def __init__(self, panel: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.dates = panel["date"].unique()
        keys = panel[["date", "asset"]]
        logged = keys[panel["date"].isin(self.dates[20:31])].assign(y_pred=1.0)
        logged.to_parquet(folder / "predictions.parquet")
        history = fingerprint(panel[panel["date"] <= self.dates[30]])
        self.version = version("1", history, self.dates[30])
        own = keys.assign(prediction=2.0)
        monkeypatch.setattr(versions, "forecast", lambda version, panel: own.merge(panel[["date", "asset"]]))
        self.client = SimpleNamespace(download_artifacts=lambda *_: folder / "predictions.parquet")

    def __call__(self, panel: pd.DataFrame) -> pd.DataFrame:
        return versions.unseen_forecasts(self.client, self.version, panel)


def test_walk_forward_counts_up_to_the_last_training_month_and_the_version_itself_after_it(
    panel: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    unseen = Unseen(panel, monkeypatch, tmp_path)
    made = unseen(panel)
    months = made.groupby("date")["y_pred"].first()
    assert list(months.index) == list(unseen.dates[20:44])  # the newest month has no return
    assert (months.iloc[:11] == 1.0).all()
    assert (months.iloc[11:] == 2.0).all()


def test_walk_forward_on_other_values_does_not_count(
    panel: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The file at the same path was restated: one value of one past month is another."""
    unseen = Unseen(panel, monkeypatch, tmp_path)
    restated = panel.copy()
    restated.loc[panel["date"] == unseen.dates[5], "CAP"] += 1e-6
    assert list(unseen(restated)["date"].unique()) == list(unseen.dates[31:44])
    later = panel.copy()
    later.loc[panel["date"] == unseen.dates[35], "CAP"] += 1e-6  # after training: nothing was made from it
    assert list(unseen(later)["date"].unique()) == list(unseen.dates[20:44])


def test_months_that_the_version_hardly_forecast_do_not_count(
    panel: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    unseen = Unseen(panel, monkeypatch, tmp_path)
    few = panel["asset"].isin(panel["asset"].unique()[:5])
    own = panel.loc[few, ["date", "asset"]].assign(prediction=2.0)
    monkeypatch.setattr(versions, "forecast", lambda version, panel: own)
    assert list(unseen(panel)["date"].unique()) == list(unseen.dates[20:31])


def test_a_version_of_another_release_is_left_aside(registry: MlflowClient) -> None:
    registry.set_model_version_tag(NAME, "2", "config", '{"window": {"lags": [0]}}')
    known = read_versions(registry, NAME)
    assert [version.number for version in known.versions] == ["1", "3"]
    assert "another release" in known.left_aside["2"]


def test_trials_of_all_experiments_behind_a_model_count(registry: MlflowClient) -> None:
    """Moving to a fresh experiment does not make the earlier trials undone."""
    fresh = registry.create_experiment("fresh")
    for k, experiment in enumerate([registry.get_experiment_by_name("drf").experiment_id, fresh]):
        run = registry.create_run(experiment, run_name=f"lstm-trial-{k}", tags={"kind": "trial"}).info.run_id
        registry.log_metric(run, "cv_rmse", 0.1)
    assert len(trials_behind(registry, NAME)) == 1
    row = registry.create_run(fresh).info.run_id
    registry.create_model_version(NAME, source="s3://nowhere/6", tags={"row_run": row})
    assert len(trials_behind(registry, NAME)) == 2


def test_reports_follow_the_champion(registry: MlflowClient) -> None:
    """A dethroned champion's report says so, and after a rollback both are right again."""
    page = "<!-- status -->?<!-- /status --><!-- gates --><!-- /gates -->"
    known = read_versions(registry, NAME)
    for each in known.versions:
        registry.log_text(each.parent_run, page, "report.html")

    def status(number: int) -> str:
        return str(mlflow.artifacts.load_text(f"runs:/{known.versions[number - 1].parent_run}/report.html"))

    gates = pd.DataFrame([{"version": "1", **vars(Verdict("audit", 6, 6, True, False, "fine"))}])
    first = Decision("1", None, "1", "because", gates=gates)
    apply(registry, NAME, first)
    complete_reports(registry, known, first)
    assert "Version 1 is champion." in status(1)
    assert "?" in status(3)

    known = read_versions(registry, NAME)
    second = Decision("2", "1", "2", "because", gates=gates.assign(version="2"))
    apply(registry, NAME, second)
    complete_reports(registry, known, second)
    assert "Version 2 is champion." in status(2)
    assert "Version 1 was champion and is not any more. The champion is version 2." in status(1)
    assert "fine" in status(1)

    known = read_versions(registry, NAME)
    complete_reports(registry, known, roll_back(registry, NAME, known))
    assert "Version 1 is champion." in status(1)
    assert "Version 2 was champion and is not any more" in status(2)


def test_every_gate_asks_its_question_in_words() -> None:
    scores = pd.Series(
        {
            "months": 30, "sharpe_low": 0.25, "deflated": 0.5, "trials": 39, "rank_ic_t": 3.0, "rank_ic_df": 12,
            "better": 0.4,
        }
    )  # fmt: skip
    critical = float(stats.t.isf(0.025, 12))
    asked = judge(scores, Checkup(1e-3, 0.995), "7", LIMITS)
    assert [(v.gate, v.value, v.threshold, v.passed, v.lasting) for v in asked] == [
        ("months out of sample", 30.0, 24, True, False),
        ("Sharpe after costs, low end of interval", 0.25, 0.0, True, False),
        ("deflated Sharpe", 0.5, 0.95, False, False),
        ("rank IC t-statistic", 3.0, pytest.approx(critical), True, False),
        ("conservation of relevance", 1e-3, 1e-6, False, True),
        ("fidelity of linearisation", 0.995, 0.99, True, False),
        ("not worse than the champion", 0.4, 0.5, False, False),
    ]
    assert [v.reason for v in asked] == [
        "30, needed at least 24",
        "0.25, needed at least 0",
        "0.5 over 39 trials, needed at least 0.95",
        f"3, needed at least {critical:.3g}",
        "0.001, allowed at most 1e-06",
        "0.995, needed at least 0.99",
        "0.4 of resamples better than the champion, version 7, needed at least 0.5",
    ]
    unknown = judge(scores.replace(0.25, float("nan")), Checkup(0.0, 1.0), None, LIMITS)[1]
    assert unknown.reason == "cannot be estimated, needed at least 0"
    exact = judge(scores.replace(0.5, 0.95), Checkup(1e-6, 0.99), None, LIMITS)
    assert all(verdict.passed for verdict in exact)  # at the threshold


def test_the_audits_gate_counts_its_checks() -> None:
    table = pd.DataFrame({"check": ["a", "b", "c"], "passed": [True, False, False], "reason": ["", "x", "y"]})
    assert audit_verdict(table) == Verdict("audit", 1.0, 3.0, False, False, "b: x; c: y")
    assert audit_verdict(table[:1]) == Verdict("audit", 1.0, 1.0, True, False, "all 1 checks passed")


def test_scores_hold_every_measure_of_a_version() -> None:
    made = {"1": forecasts(0.2), "2": forecasts(0.3)}
    table = score(made, TRIALS, "1", RULE)
    net = pd.DataFrame({n: monthly_series(f, RULE)["long_short_net"] for n, f in made.items()})
    intervals, deflated = sharpe_intervals(net, "1").set_index("row"), sharpe_evidence(net, TRIALS).set_index("row")
    for number in made:
        line = table.loc[number]
        assert line["months"] == 36
        assert line["trials"] == len(TRIALS)
        assert (line["sharpe_low"], line["sharpe_high"]) == tuple(intervals.loc[number, ["low", "high"]])
        assert line["deflated"] == deflated.loc[number, "deflated"]
        assert line["rank_ic_df"] == hac_mean(monthly_series(made[number], RULE)[["rank_ic"]])["df"].item()
        for name in SCORES:
            assert line[name] == summarise(made[number], RULE)[name]
    assert np.isnan(table.loc["1", "better"])
    assert table.loc["2", "better"] == intervals.loc["2", "better"]
