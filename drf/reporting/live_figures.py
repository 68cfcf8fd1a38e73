"""Live figures: outcomes of the issued months beside the backtest's promise."""

from __future__ import annotations

from ..live.outcome import Live
from .document import Picture
from .figures import live_beside_promise, live_rank_ic, picture


def live_pictures(live: Live) -> dict[str, Picture]:
    """Draw what came true beside what was promised; pictures by name."""
    months = live.months.set_index("month")
    return {
        "live_beside_promise": picture(live_beside_promise(months)),
        "live_rank_ic": picture(live_rank_ic(months["rank_ic"], float(live.promise["rank_ic"].mean()))),
    }
