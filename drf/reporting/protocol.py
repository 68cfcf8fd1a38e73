"""Protocol of a training in words."""

from ..experiment.experiment import Experiment
from ..samples.transforms import STATE, columns_of
from ..samples.windows import WindowRule


def protocol(experiment: Experiment) -> list[str]:
    """Return the protocol of a training in sentences."""
    config, samples, months = experiment.config, experiment.samples, experiment.schedule.test_months
    window, tuning, portfolio, universe = config.window, config.tuning, config.portfolio, config.data.universe
    start = samples.dates[samples.first_month].date()
    first, last = samples.dates[months.start].date(), samples.dates[months.stop - 1].date()
    stocks = "all stocks" if universe is None else f"the {universe} largest stocks of each month"
    target = {"raw": "the return", "excess": "the return less the mean of the month's stocks"}[window.target]
    lags = ", ".join(map(str, samples.lags))
    tuned = f"{tuning.trials} trials a family on {tuning.validation_months} months before the first test month"
    absent = experiment.left_out
    return [
        f"Panel: {config.data.source.name}, {stocks}; {len(samples):,} samples from {start} on, each "
        f"{inputs_in_words(experiment)} {lags} months back. Target: {target} over {horizon_in_words(window)}.",
        *([f"The panel has no {', '.join(absent)}: forecasts and contributions do without."] if absent else []),
        learned(experiment),
        f"Forecasts were made {first} to {last}, by {window_in_words(window)}",
        f"Tuning: {tuned}." if tuning.trials else "No tuning: the configured settings.",
        portfolio.words,
    ]


def inputs_in_words(experiment: Experiment) -> str:
    """Return the number of inputs, and what they are."""
    inputs, apart = experiment.samples.descriptors, experiment.transforms
    columns = columns_of(inputs)
    states = sum(name.startswith(STATE) for name in columns)
    kinds = {
        "ranks of {} descriptors": len(columns) - states - len(apart),
        "scores of {} descriptors": sum(transform == "zscore" for transform in apart.values()),
        "values of {} descriptors": sum(transform == "none" for transform in apart.values()),
        "{} macro states": states,
        "{} products of descriptors and states": len(inputs) - len(columns),
    }
    words = [kind.format(count) for kind, count in kinds.items() if count]
    return "the " + (" and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0])


def horizon_in_words(window: WindowRule) -> str:
    """Return the span over which the label is taken, in words."""
    if window.horizon == 1:
        return "the next month"
    return f"the next {window.horizon} months, a month; forecasts are judged by the next month's return"


def window_in_words(window: WindowRule) -> str:
    """Return how models are trained and refitted, in words."""
    trained = "all months before" if window.expanding else f"the {window.train_months} months before"
    return (
        f"models trained on {trained} and refitted every {window.refit_every} month(s). Training stops at the newest "
        "return known; no test month is seen in training or tuning."
    )


def learned(experiment: Experiment) -> str:
    """Return the training label in words, naming families that differ."""
    words = {"return": "the return itself", "rank": "the return's rank in its month"}
    common = experiment.config.window.label
    apart = [
        f"{family.name} {words[family.settings['label']]}"
        for family in experiment.families
        if family.settings.get("label", common) != common
    ]
    return f"Every family learns {words[common]}" + (f", but {', '.join(apart)}." if apart else ".")
