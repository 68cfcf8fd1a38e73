"""How often the watch over inputs raises its hand: on good months, and on each kind of damage.

python benchmarks/inputs.py                                     a simulated market
python benchmarks/inputs.py PANEL [UNIVERSE]                    a panel of your own, its UNIVERSE largest stocks by CAP

The newest 24 months are looked at one after the other, each with what was known before it: as they are, and with each
descriptor's sign turned, its rows shuffled, and last month's values in place of this month's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pandas as pd
from tqdm import tqdm

from drf.data.panel import check_panel
from drf.data.paper_descriptors import DESCRIPTORS
from drf.data.simulate import SimulatedMarket
from drf.data.sources import PanelFile
from drf.data.universe import largest
from drf.live.input_statistics import LEAST_MONTHS, watch

LAGS, MONTHS = (0, 3, 6, 9, 12), 24

Damage = Callable[[pd.Series, pd.Series, np.random.Generator], np.ndarray]

DAMAGES: dict[str, Damage] = {
    "sign turned": lambda now, last, rng: -now.to_numpy(),
    "rows shuffled": lambda now, last, rng: rng.permutation(now.to_numpy()),
    "last month's values": lambda now, last, rng: last.fillna(now).to_numpy(),
}


def main(words: list[str]) -> None:
    frame = PanelFile(words[0]).panel() if words else SimulatedMarket(stocks=500, months=90, seed=0).panel()
    panel = largest(check_panel(frame, DESCRIPTORS, 5), int(words[1]) if len(words) > 1 else None)
    ends = panel["date"].drop_duplicates().sort_values().iloc[-MONTHS:]
    rng, names, raised = np.random.default_rng(0), list(DESCRIPTORS), 0
    caught = pd.DataFrame(0, index=names, columns=list(DAMAGES))
    for number, end in enumerate(tqdm(ends)):
        until = panel[panel["date"] <= end].reset_index(drop=True)
        found = watch(until, names, LAGS)
        raised += bool(found)
        for finding in found:
            print(f"{end:%Y-%m} {finding}")
        rows = until.index[until["date"] == end]
        last = until[until["date"] == end - pd.offsets.MonthEnd(1)].set_index("asset")
        name = names[number % len(names)]
        for damage, change in DAMAGES.items():
            damaged = until.copy()
            before = last[name].reindex(until.loc[rows, "asset"]).set_axis(rows)
            damaged.loc[rows, name] = change(until.loc[rows, name], before, rng)
            caught.loc[name, damage] += name in {finding.what for finding in watch(damaged, names, LAGS)}
    tried = pd.Series([names[number % len(names)] for number in range(len(ends))]).value_counts().reindex(names)
    print(f"{raised} of {len(ends)} good months held back (bands of {LEAST_MONTHS} months and more)")
    print(caught.assign(tried=tried).to_string())


if __name__ == "__main__":
    main(sys.argv[1:])
