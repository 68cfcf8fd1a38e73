"""Training log: what a training writes to its runs."""

import time
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from optuna.trial import FrozenTrial

from ..comparison.evidence import on_rows
from ..comparison.rows import Row
from ..evaluation.annual import annualised_ratio
from ..evaluation.contributions import KEYS, agreement_with_truth, rounded
from ..evaluation.metrics import summarise
from ..experiment.experiment import Experiment
from ..experiment.identity import recipe_of, tested_months
from ..models.catalogue import plain_row, rows_with_models
from ..models.family import Family
from ..reporting.document import Document, Picture
from ..reporting.faithfulness_report import faithfulness_report
from ..reporting.html import render
from ..reporting.protocol import protocol
from ..reporting.training_cards import EXPERIMENT_CARD, row_card, training_card
from ..tracking import pages
from ..tracking.runs import NOTE, REPORT, RunTree, dataset_of, git_commit
from ..tracking.searches import DATA, MARKET, RECIPE, TESTED, TRIED, as_tag, market_returns
from ..tracking.views import key_of_rows, save_rows, save_views
from ..training.forecasts import WalkForward
from ..training.parallel import peak_memory
from ..tuning.search import MACHINE, measures_of, returns_of


class TrainingLog:
    """The runs of one training: a parent, one child per row, and trials below their family's plain row.

    Args:
        tree: Open run tree of the training; the tree closes its runs when it ends.
    """

    def __init__(self, tree: RunTree, experiment: Experiment) -> None:
        self.tree, self.experiment = tree, experiment
        self.parent = tree.parent
        self.dataset = dataset_of(experiment.panel, experiment.config.data.source.name, experiment.data)
        self._inputs()
        self.rows = {row.name: tree.row(row) for row in experiment.rows}
        for row in self.rows.values():
            row.input(self.dataset, "evaluation")

    def _inputs(self) -> None:
        """Log configuration, data, code, and how many missing inputs had to be filled."""
        experiment, run, samples = self.experiment, self.parent, self.experiment.samples
        run.params(experiment.record.flat)
        run.text(experiment.record.yaml, "config.yaml")
        run.tags({"kind": "comparison", DATA: experiment.data, "git_commit": git_commit()})
        run.tags({RECIPE: recipe_of(experiment.config), TESTED: tested_months(experiment.config)})
        run.tags({MARKET: as_tag(market_returns(experiment.panel))})
        if experiment.left_out:
            run.tags({"descriptors_left_out": ",".join(experiment.left_out)})
        run.input(self.dataset, "training")
        windows, months = experiment.schedule.tested, experiment.schedule.test_months
        seen = samples.sample_slice(range(windows[0].train.start, months.stop))
        run.metrics(
            {
                "panel_rows": len(experiment.panel),
                "panel_months": experiment.panel["date"].nunique(),
                "samples": len(samples),
                "test_months": len(months),
                "neutral_values": samples.missing_values,
                "neutral_lags": samples.missing_months,
                "samples_without_return": int(pd.isna(samples.outcome[seen]).sum()),
            }
        )

    def trial(self, family: Family, trial: FrozenTrial, from_earlier_run: bool) -> None:
        """Log a finished trial below the plain row of its family."""
        tags = {
            "kind": "trial",
            "family": family.name,
            "state": trial.state.name,
            "machine": trial.user_attrs.get(MACHINE, "unknown"),
            "from_earlier_run": str(from_earlier_run).lower(),
        }
        name = f"{family.name}-trial-{trial.number}"
        run = self.tree.child(name, tags, below=self.rows[plain_row(family.name).name])
        run.params({f"model.{family.name}.{key}": value for key, value in trial.params.items()})
        returns = returns_of(trial)
        run.metrics(
            {
                **{f"cv_{name}": value for name, value in measures_of(trial).items()},
                "sharpe_net": annualised_ratio(returns),
                "periods": len(returns),
            }
        )
        self.tree.close(run)

    def comparison(
        self,
        rows: Sequence[Row],
        table: pd.DataFrame,
        families: Sequence[Family],
        walks: Mapping[str, WalkForward],
        pictures: Mapping[str, Picture],
    ) -> None:
        """Log every row, the table of all rows, and their pictures.

        Args:
            families: Families with the settings that tuning chose.
            pictures: Pictures by name; a row's picture is ``<row>/<name>``.
        """
        tuned = {family.name: family for family in families}
        for row in rows:
            self._settings(row.name, tuned[row.model.family])
            self._row(row, walks[row.model.family])
            self._contributions(row, walks[row.model.family])
            own = {name: picture.png for name, picture in pictures.items() if name.startswith(f"{row.name}/")}
            if own:
                self.rows[row.name].figures({name.partition("/")[2]: png for name, png in own.items()})
        self.parent.tables({"comparison.csv": table})
        self.parent.figures({name: picture.png for name, picture in pictures.items() if "/" not in name})

    def _settings(self, row: str, family: Family) -> None:
        settings = {**family.settings, "seeds": family.seeds}
        self.rows[row].params({f"model.{family.name}.{key}": value for key, value in settings.items()})

    def _row(self, row: Row, walk: WalkForward) -> None:
        run = self.rows[row.name]
        seconds = walk.tested.seconds + walk.newest.seconds
        run.metrics({**row.metrics, "fit_seconds": seconds, "periods": len(row.series), "scale": row.newest_scale})
        if row.note:
            run.tags({"note": row.note})
        run.monthly(row.series)
        run.tables(
            {
                "predictions.parquet": row.predictions.assign(y_pred_raw=row.raw.astype(np.float32)),
                "forecast.parquet": row.forecast,
                "contributions.parquet": row.risk,
                "carried_forward.parquet": row.carried,
            }
        )

    def _contributions(self, row: Row, walk: WalkForward) -> None:
        """Log the additional results of rows with contributions."""
        run = self.rows[row.name]
        if row.carried is not None:
            judged = self.experiment.judging.equip(row.carried)
            metrics = summarise(judged, self.experiment.config.portfolio)
            run.metrics({f"carried/{name}": value for name, value in metrics.items()})
        if row.contributions is None:
            return
        full = self.experiment.config.report.relevance == "full"
        newest = row.predictions["date"].max()
        run.tables(
            {
                "contributions_by_stock.parquet": row.contributions.by_stock(row.predictions),
                "relevance.parquet": rounded(row.contributions.relevance(row.predictions, None if full else newest)),
            }
        )
        measured = walk.tested.faithfulness
        if len(measured):
            run.tables({"faithfulness.parquet": measured})
            run.text(faithfulness_report(row.name, measured), "faithfulness.txt")
            names = [name for name in measured if name not in ("date", "member")]
            run.metrics({f"faithfulness/{name}": measured[name].mean() for name in names})
        if walk.tested.contributions is not None:
            run.metrics({f"account/{name}": share for name, share in walk.tested.contributions.shares().items()})
        if self.experiment.truth is not None:
            keys, factors = row.predictions[KEYS], self.experiment.factors
            by_factor = pd.concat([keys, row.contributions.by_factor(factors, keys.index)], axis=1)
            agreement = agreement_with_truth(by_factor, self.experiment.truth)
            run.metrics({f"truth/{factor}": value for factor, value in agreement.items()})

    def evidence(self, tables: Mapping[str, pd.DataFrame]) -> None:
        """Log the tables of :func:`drf.comparison.evidence.gather`, and on every row its own part of them."""
        self.parent.tables({f"evidence/{name}.csv": table for name, table in tables.items()})
        self.parent.metrics({TRIED: tables["trials"].shape[1] - 1})  # without the dates
        for row, values in on_rows(tables).items():
            self.rows[row].metrics(values)
        deflated = tables["deflated"]
        self.parent.metrics(
            {"trials_counted": deflated["trials"].max(), "trials_independent": deflated["independent"].max()}
        )

    def report(self, document: Document) -> None:
        """Log the report as a page."""
        self.parent.text(render(document), REPORT)

    def describe(
        self,
        rows: Sequence[Row],
        table: pd.DataFrame,
        evidence: Mapping[str, pd.DataFrame],
        answers: Mapping[str, str],
        version: str | None,
    ) -> None:
        """Write the cards that MLflow shows on the pages of the experiment, the training and its rows.

        Args:
            answers: First screen of the report.
            version: Number of the registered version, if one was registered.
        """
        client, experiment, parent = self.tree.client, self.tree.experiment_id, self.parent.run_id
        if NOTE not in client.get_experiment(experiment).tags:  # people may have written their own note
            client.set_experiment_tag(experiment, NOTE, EXPERIMENT_CARD)
        save_views(client, experiment)
        save_rows(client, experiment, parent, self.tree.name)
        net = evidence["sharpe"].query("returns == 'net'").set_index("row")
        name = self.experiment.config.registry.name
        links = {
            "the rows side by side": pages.view(experiment, key_of_rows(parent)),
            "the report": pages.artifact(experiment, parent, REPORT),
            **({f"version {version} of {name}": pages.version(name, version)} if version else {}),
        }
        self.parent.describe(training_card(table, net, answers, protocol(self.experiment), links))
        intervals = net.to_dict("index")
        kept = rows_with_models(self.experiment.rows)
        for row in rows:
            run = self.rows[row.name]
            model = f"runs:/{run.run_id}/model" if row.model in kept else ""
            run.describe(row_card(row, intervals[row.name], model))

    def resources(self) -> None:
        """Log the seconds since the parent run was opened, and the peak memory of the largest process."""
        used = {"seconds": time.perf_counter() - self.tree.opened}
        if (peak := peak_memory(children=True)) is not None:
            used["peak_memory_mb"] = peak / 2**20
        self.parent.metrics(used)
