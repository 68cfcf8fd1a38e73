"""Faithfulness report: how far a map of relevance may be trusted, in words."""

import pandas as pd

# Below this rank agreement between equally good networks, a map's values for single inputs are mostly chance.
_STABLE = 0.5


def faithfulness_report(row: str, measured: pd.DataFrame) -> str:
    """Return the mean measurements of a row's networks in words.

    ``measured``: see :attr:`drf.training.forecasts.Forecasts.faithfulness`.
    """
    mean = measured.drop(columns=["date", "member"]).mean()
    lines = [
        f"Relevance of {row}: mean over {len(measured)} trained networks",
        "",
        "Deleting inputs in the order of their relevance: area under the output, 1 at the start, lower is better",
        *(f"  {name:22} {mean[f'deletion_{name}']:6.2f}" for name in _maps(mean, "deletion")),
        "",
        "Inserting them in that order into the neutral stock: higher is better",
        *(f"  {name:22} {mean[f'insertion_{name}']:6.2f}" for name in _maps(mean, "insertion")),
        "",
        "Rank agreement of the relevance with (1: the same order of inputs, 0: none)",
        *(f"  {name:22} {mean[f'agreement_{name}']:6.2f}" for name in _maps(mean, "agreement")),
        "",
        "What follows",
        *(f"  {line}" for line in _verdicts(mean)),
    ]
    return "\n".join(lines) + "\n"


def _maps(mean: pd.Series, kind: str) -> list[str]:
    return [name.removeprefix(f"{kind}_") for name in mean.index if name.startswith(f"{kind}_") and mean.notna()[name]]


def _verdicts(mean: pd.Series) -> list[str]:
    verdicts = []
    if mean["deletion_lrp"] < mean["deletion_random"] and mean["insertion_lrp"] > mean["insertion_random"]:
        verdicts.append("The map tells better than chance which inputs drive the forecast.")
    else:
        verdicts.append("DO NOT TRUST: the map tells no better than chance which inputs drive the forecast.")
    if abs(mean["agreement_randomised_weights"]) > _STABLE:
        verdicts.append("DO NOT TRUST: the map hardly changes when the weights are drawn anew.")
    seeds = mean.get("agreement_other_seeds", float("nan"))
    if seeds < _STABLE:
        verdicts.append(f"Read factors and portfolios, not single inputs: other seeds agree at {seeds:.2f} only.")
    verdicts.append(
        "Where the sign of an input's effect is decided in a gate, no map of this kind can show it: "
        "signal takes all gives gates nothing."
    )
    return verdicts
