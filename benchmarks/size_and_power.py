"""How often do the tests and gates say yes where nothing is, and where something is?

python benchmarks/size_and_power.py ic                      the IC test on panels of noise
python benchmarks/size_and_power.py intervals               coverage and width of the Sharpe ratio's interval
python benchmarks/size_and_power.py trials                  the deflated Sharpe ratio over trials that are alike
python benchmarks/size_and_power.py leaks 400 50            the leak suite's relations on 400 clean markets and 50 of
                                                            each kind of leak
python benchmarks/size_and_power.py gate noise 20 tuning.trials=50 model=[linear,lstm]
python benchmarks/size_and_power.py gate simulated 20       train.py and evaluate.py on 20 markets, any overrides,
                                                            in size_and_power/ of the working directory
python benchmarks/size_and_power.py looks noise 20 12       20 small markets, each trained and evaluated for 12 months
python benchmarks/size_and_power.py monthly 0.0             the gates of skill asked monthly of forecasts of such skill
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from omegaconf import OmegaConf
from scipy import stats
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from drf.data.paper_descriptors import DESCRIPTORS
from drf.data.relations import excess, relations_of
from drf.data.simulate import SimulatedMarket
from drf.evaluation.hac import hac_mean
from drf.evaluation.intervals import sharpe_intervals
from drf.evaluation.metrics import rank_ic
from drf.evaluation.portfolio import PortfolioRule
from drf.evaluation.sharpe import sharpe_evidence
from drf.evaluation.trials import Trials, count_trials
from drf.experiment.validation import make
from drf.registry.gates import failures, judge_skill
from drf.registry.scores import score
from drf.registry.thresholds import Thresholds
from tests.data.leaks import LEAKS, Plant

ROOT = Path(__file__).resolve().parent.parent


def noise_panel(rng: np.random.Generator, months: int, stocks: int, persistence: float) -> pd.DataFrame:
    """A persistent forecast, and returns that it knows nothing of."""
    forecast = np.zeros((months, stocks))
    for t in range(months):
        before = forecast[t - 1] if t else rng.standard_normal(stocks)
        forecast[t] = persistence * before + np.sqrt(1 - persistence**2) * rng.standard_normal(stocks)
    dates = np.repeat(pd.date_range("2000-01-31", periods=months, freq="ME"), stocks)
    returns = rng.standard_normal(months * stocks)
    return pd.DataFrame({"date": dates, "y_pred": forecast.ravel(), "y_true": returns})


def ic_size(panels: int = 400, stocks: int = 100, level: float = 0.05) -> pd.DataFrame:
    """Share of noise panels whose mean rank IC is called different from zero."""
    rng = np.random.default_rng(0)
    lines = []
    for months in (24, 36, 60, 120, 240):
        ours, naive = [], []
        for _ in tqdm(range(panels), desc=f"{months} months"):
            ic = rank_ic(noise_panel(rng, months, stocks, persistence=0.95))
            ours.append(hac_mean(pd.DataFrame({"ic": ic}))["p"].item() < level)
            naive.append(abs(ic.mean() / ic.std() * np.sqrt(len(ic))) > 1.96)
        shares = {"rejected": np.mean(ours), "rejected by the plain t-test": np.mean(naive)}
        lines.append({"months": months, **shares})
    return pd.DataFrame(lines)


def interval_coverage(samples: int = 1000, level: float = 0.95) -> pd.DataFrame:
    """Share of samples whose interval of the Sharpe ratio holds the true one, and lies above it (the gate's error).

    Width: 5th and 95th percentile, beside that which the ratio's true standard error would give (over all samples).
    Returns have fat tails, are skewed, or are correlated from month to month.
    """
    rng = np.random.default_rng(0)
    lines = []
    for months, sharpe, kind in [(n, s, k) for n in (24, 36, 60, 120, 240) for s in (0.0, 1.0, 2.0) for k in KINDS]:
        made = sharpe / np.sqrt(12) + KINDS[kind](rng, (months + 50, samples))[50:]
        found = sharpe_intervals(pd.DataFrame(made), level=level)
        low, high = found["low"].to_numpy(dtype=float), found["high"].to_numpy(dtype=float)
        right = 2 * stats.norm.ppf((1 + level) / 2) * found["sharpe"].to_numpy(dtype=float).std()
        narrow, wide = np.percentile((high - low) / right, [5, 95])
        held = np.mean((low <= sharpe) & (sharpe <= high))
        shares = {"held": held, "interval above": np.mean(low > sharpe), "width 5 %": narrow, "width 95 %": wide}
        lines.append({"months": months, "sharpe": sharpe, "returns": kind, **shares})
    return pd.DataFrame(lines)


def correlated(correlation: float) -> Callable[[np.random.Generator, tuple[int, int]], np.ndarray]:
    def make(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        noise = rng.standard_normal(shape) * np.sqrt(1 - correlation**2)
        for t in range(1, len(noise)):
            noise[t] += correlation * noise[t - 1]
        return noise

    return make


KINDS: dict[str, Callable[[np.random.Generator, tuple[int, int]], np.ndarray]] = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "fat tails": lambda rng, shape: rng.standard_t(5, shape) / np.sqrt(5 / 3),
    "skewed": lambda rng, shape: (4 - rng.gamma(4, 1, shape)) / 2,
    "correlated -0.3": correlated(-0.3),
    "correlated 0.3": correlated(0.3),
}


def deflated_best(samples: int = 400, months: int = 36, level: float = 0.95) -> pd.DataFrame:
    """How often the best of so many trials passes for skill, where none has any, and where all have a Sharpe of 2.

    Trials come in searches; within a search their returns correlate, and searches are independent. Beside the number of
    independent trials that is used stands the plain count, which asks more.
    """
    rng = np.random.default_rng(0)
    dates = pd.date_range("2000-01-31", periods=months, freq="ME")
    lines = []
    for searches, each, correlation in [
        (1, 40, 0.0),
        (1, 40, 0.5),
        (1, 40, 0.9),
        (4, 40, 0.5),
        (4, 40, 0.9),
        (40, 4, 0.5),
    ]:
        for sharpe in (0.0, 2.0):
            passed, counted, independent = [], [], []
            for _ in tqdm(range(samples), desc=f"{searches} x {each}, correlation {correlation:g}, Sharpe {sharpe:g}"):
                shared = np.repeat(rng.standard_normal((months, searches)), each, axis=1)
                own = rng.standard_normal((months, searches * each))
                returns = pd.DataFrame(
                    sharpe / np.sqrt(12) + np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own, dates
                ).rename(columns=str)
                trials = count_trials([returns])
                best = returns[[str((returns.mean() / returns.std()).argmax())]]
                passed.append(sharpe_evidence(best, trials)["deflated"].item() > level)
                as_many = Trials(trials.table, float(len(trials)))
                counted.append(sharpe_evidence(best, as_many)["deflated"].item() > level)
                independent.append(trials.independent)
            lines.append(
                {
                    "searches": searches, "trials each": each, "correlation": correlation, "sharpe": sharpe,
                    "independent": np.mean(independent), "passed": np.mean(passed), "by plain count": np.mean(counted),
                }
            )  # fmt: skip
    return pd.DataFrame(lines)


def leaks(clean: int, each: int) -> pd.DataFrame:
    """How often are the relations of columns with later returns doubted, in clean markets and in each kind of leak?

    Markets of 150 stocks and 130 months, half of the clean ones with a signal and half without; leaks are planted into
    markets without. ``highest``: the largest excess over what is credible; ``lowest``: the smallest.
    """
    plain: dict[str, Plant] = {"none": lambda panel, rng: panel}
    lines = []
    for kind, plant in {**plain, **LEAKS}.items():
        worst = []
        for seed in tqdm(range(clean if kind == "none" else each), desc=kind):
            explained = 0.03 * (seed % 2) if kind == "none" else 0.0
            panel = SimulatedMarket(150, 130, seed, explained=explained, exits=0.01).panel()
            table = relations_of(plant(panel, np.random.default_rng(seed)), DESCRIPTORS, (0, 3, 6, 9, 12))
            worst.append(float(excess(table).max()))
        doubted = float(np.mean(np.array(worst) > 0))
        lines.append(
            {"leak": kind, "markets": len(worst), "doubted": doubted, "lowest": min(worst), "highest": max(worst)}
        )
    return pd.DataFrame(lines)


def gate(data: str, seeds: int, overrides: list[str]) -> pd.DataFrame:
    """Train on so many markets, each with a store of its own, and evaluate. A market that was trained is not again."""
    lines = []
    for seed in tqdm(range(seeds), desc=data):
        folder = Path("size_and_power") / data / str(seed)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "trained").exists():
            run("train.py", folder, f"data={data}", f"data.seed={seed}", *overrides)
            (folder / "trained").touch()
        market = [word for word in overrides if word.startswith("data.")]
        run("evaluate.py", folder, f"data={data}", f"data.seed={seed}", *market, expected=(0, 4))
        lines.append({"seed": seed, **decision_in(folder)})
        print(json.dumps(lines[-1]), flush=True)
    return pd.DataFrame(lines)


def monthly_looks(skill: float, markets: int = 200, months: int = 36, times: int = 12, tried: int = 50) -> pd.DataFrame:
    """The strict gates of skill asked every month anew of one recipe, on forecasts made by hand.

    ``skill``: correlation of forecast and return. One search of ``tried`` alike trials stands behind it. One line a
    market: at which look it passed first, if it did.
    """
    strict = make(Thresholds, OmegaConf.to_container(OmegaConf.load(ROOT / "conf" / "gate" / "strict.yaml")), "gate")
    rule = PortfolioRule(quantiles=5, cost_bps=10)
    rng = np.random.default_rng(0)
    lines = []
    for market in tqdm(range(markets), desc=f"skill {skill:g}"):
        panel = noise_panel(rng, months + times, 60, persistence=0.9)
        panel["y_true"] = 0.1 * (skill * panel["y_pred"] + np.sqrt(1 - skill**2) * panel["y_true"])
        panel["asset"] = np.tile([f"S{k:02d}" for k in range(60)], months + times)
        panel["benchmark"] = noise_panel(rng, months + times, 60, persistence=0.9)["y_pred"]
        shared, own = rng.standard_normal((12, 1)), rng.standard_normal((12, tried))
        trials = count_trials([pd.DataFrame(np.sqrt(0.4) * shared + np.sqrt(0.6) * own).rename(columns=str)])
        dates = panel["date"].unique()
        passed = 0
        for look in range(times):
            made = panel[panel["date"].isin(dates[look : look + months])].reset_index(drop=True)
            if not failures(judge_skill(score(made, made, rule, trials), strict)):
                passed = look + 1
                break
        lines.append({"market": market, "first passed at look": passed, "independent trials": trials.independent})
    return pd.DataFrame(lines)


def looks(data: str, seeds: int, months: int, overrides: list[str]) -> pd.DataFrame:
    """The same market looked at every month: trained anew and evaluated, until a version is promoted."""
    lines = []
    explained = {"noise": 0.0, "simulated": 0.12}[data]
    for seed in tqdm(range(seeds), desc=f"{data}, {months} months"):
        folder = Path("size_and_power") / f"{data}-looks" / str(seed)
        folder.mkdir(parents=True, exist_ok=True)
        market = SimulatedMarket(stocks=60, months=65 + months, seed=seed, explained=explained, style=0.0).panel()
        dates = sorted(market["date"].unique())
        for month in range(months):
            panel = market[market["date"] <= dates[65 + month - 1]].copy()
            panel.loc[panel["date"] == panel["date"].max(), "ret_next"] = None
            panel.to_parquet(folder / "panel.parquet", index=False)
            run("train.py", folder, "data=panel", "data.path=panel.parquet", *overrides)
            run("evaluate.py", folder, "data=panel", "data.path=panel.parquet", "gate.audit=false", expected=(0, 4))
            seen = decision_in(folder)
            if seen["promoted"]:
                break
        lines.append({"seed": seed, "looks": month + 1, **seen})
        print(json.dumps(lines[-1]), flush=True)
    return pd.DataFrame(lines)


def run(program: str, folder: Path, *words: str, expected: tuple[int, ...] = (0,)) -> None:
    done = subprocess.run([sys.executable, str(ROOT / program), *words], cwd=folder, capture_output=True, text=True)
    if done.returncode not in expected:
        raise SystemExit(f"{program} {' '.join(words)} in {folder}: {done.stderr[-2000:]}")


def decision_in(folder: Path) -> dict[str, object]:
    """Whether a version was promoted, and what it had shown."""
    client = mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    found = client.search_runs([client.get_experiment_by_name("drf").experiment_id], "tags.kind = 'evaluation'")
    run = found[0]  # the newest
    kept = ("sharpe_net", "sharpe_low", "deflated", "rank_ic_t", "trials", "independent")
    shown = {
        key.partition("/")[2]: round(value, 3)
        for key, value in run.data.metrics.items()
        if key.partition("/")[2] in kept
    }
    return {"promoted": run.data.tags["promoted"] != "none", **shown, "decision": run.data.tags["decision"][:300]}


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["ic"]:
            result = ic_size()
        case ["intervals"]:
            result = interval_coverage()
        case ["trials"]:
            result = deflated_best()
        case ["leaks", clean, each]:
            result = leaks(int(clean), int(each))
        case ["gate", data, seeds, *overrides]:
            result = gate(data, int(seeds), overrides)
            print(f"promoted {result['promoted'].sum()} of {len(result)}")
            result = result.drop(columns="decision")
        case ["monthly", skill]:
            table = monthly_looks(float(skill))
            passed = table["first passed at look"]
            result = pd.DataFrame(
                {"looks": range(1, 13), "passed by then": [(passed.between(1, look)).mean() for look in range(1, 13)]}
            )
        case ["looks", data, seeds, months, *overrides]:
            result = looks(data, int(seeds), int(months), overrides)
            print(f"promoted {result['promoted'].sum()} of {len(result)}")
            result = result.drop(columns="decision")
        case _:
            raise SystemExit(__doc__)
    print(result.to_string(index=False, float_format="{:.3f}".format))
