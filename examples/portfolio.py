"""From the newest issue to a portfolio of one's own: constrained, and still a sum of factor contributions.

pip install -r examples/portfolio-requirements.txt
python examples/portfolio.py [MODEL]

It needs MLflow and cvxpy, and nothing of this project. The issued weights follow the model's own simple rule; here a
convex optimiser makes others of the same forecasts: no position above a limit, little turnover, and no factor that
carries more than its part of the portfolio's forecast, which only a forecast that is a sum can promise. What is held
then is written to own-weights-YYYY-MM.csv, from where next month's trades start; let your own books say instead what
those weights have drifted to.
"""

# %% The newest issue: the run of the champion's newest month that no later run replaces
import sys
from pathlib import Path

import cvxpy as cp
import mlflow
import numpy as np
import pandas as pd

MODEL = sys.argv[1] if len(sys.argv) > 1 else "drf-lstm-lrp"
FACTORS = ["Risk", "Quality", "Momentum", "Value", "Size"]

mlflow.set_tracking_uri(mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else "sqlite:///mlflow.db")
issues = mlflow.search_runs(
    experiment_names=["drf-live"],
    filter_string=f"tags.kind = 'forecast' and tags.role = 'champion' and tags.registered_model = '{MODEL}' "
    "and attributes.status = 'FINISHED'",
)
if issues.empty:
    raise SystemExit("nothing was issued yet: drf score does")
standing = issues[~issues["run_id"].isin(issues["tags.replaces"])]
newest = standing.sort_values("tags.month").iloc[-1]
path = mlflow.artifacts.download_artifacts(run_id=newest["run_id"], artifact_path="forecasts.parquet")
table = pd.read_parquet(path)
month = newest["tags.month"][:7]
earlier = sorted(file for file in Path().glob("own-weights-????-??.csv") if file.stem[-7:] < month)
if earlier:  # what was bought by this program, in place of what was issued
    own_before = pd.read_csv(earlier[-1], dtype={"asset": str}).set_index("asset")["weight"]
    more = own_before.index.difference(table["asset"])
    table = pd.concat([table, pd.DataFrame({"asset": more})], ignore_index=True)
    table["held"] = table["asset"].map(own_before)
table[["held", "prediction", *FACTORS]] = table[["held", "prediction", *FACTORS]].fillna(0.0)  # of what has to be sold
print(f"{newest['tags.month']}: {len(table)} stocks, issued by version {newest['tags.version']}")

# %% The problem: the highest forecast after costs, under limits
MOST_IN_ONE, MOST_TURNOVER, MOST_OF_ONE_FACTOR, COST = 0.05, 0.30, 0.5, 0.001

forecast, held = table["prediction"].to_numpy(), table["held"].to_numpy()
forecastable = (table["rank"].notna()).to_numpy()
weight = cp.Variable(len(table))
expected = forecast @ weight
traded = cp.norm1(weight - held)
setting_up = not held.any()
limits = [
    cp.sum(weight) == 0,  # as much long as short
    cp.norm1(weight) <= 2,  # each side is worth 1 at most
    cp.abs(weight) <= MOST_IN_ONE * forecastable,  # what has no forecast is sold
    *([] if setting_up else [traded <= 4 * MOST_TURNOVER + np.abs(held[~forecastable]).sum()]),
    *[table[factor].to_numpy() @ weight <= MOST_OF_ONE_FACTOR * expected for factor in FACTORS],
]
problem = cp.Problem(cp.Maximize(expected - COST * traded), limits)
problem.solve(solver=cp.CLARABEL)
if problem.status != cp.OPTIMAL:
    raise SystemExit(f"the optimiser found no portfolio ({problem.status}): loosen a limit")
table["own"] = np.where(np.abs(weight.value) < 1e-6, 0.0, weight.value)
held_now = table.loc[table["own"] != 0, ["asset", "own"]].rename(columns={"own": "weight"})
held_now.to_csv(f"own-weights-{month}.csv", index=False)

# %% What was bought, and which factors its forecast is made of
own, issued = table["own"], table["weight"].fillna(0.0)
parts = pd.DataFrame({"issued": table[FACTORS].mul(issued, axis=0).sum(), "own": table[FACTORS].mul(own, axis=0).sum()})
parts.loc["bias"] = [(table["bias"].fillna(0.0) * column).sum() for column in (issued, own)]
parts.loc["forecast"] = [forecast @ issued, forecast @ own]
print("\nForecast of the portfolio, % a month, by factor:")
print((100 * parts).round(3).to_string())
print(f"\nTraded, in shares of one side's value: {(own - table['held']).abs().sum():.2f}")
bought = table.assign(trade=own - table["held"]).nlargest(10, "trade")
print("\nBought most, what was short included:")
print(bought[["asset", "held", "own", "trade", "prediction", *FACTORS]].round(4).to_string(index=False))
