"""Live figures: outcomes of the issued months compared with the backtest's promise."""

from ..live.outcome import Live
from .charts import live_beside_promise, live_rank_ic
from .document import Chart, Picture
from .paper import picture


def live_charts(live: Live) -> dict[str, Chart]:
    """Return the charts that compare outcomes with promises, by name."""
    months = live.months.set_index("month")
    return {
        "live_beside_promise": live_beside_promise(months),
        "live_rank_ic": live_rank_ic(months["rank_ic"], float(live.promise["rank_ic"].mean())),
    }


def live_pictures(live: Live) -> dict[str, Picture]:
    """Return the same charts as pictures."""
    return {name: picture(chart) for name, chart in live_charts(live).items()}
