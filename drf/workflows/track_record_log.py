"""Track-record log: what MLflow holds of the live record of a registered model."""

import mlflow

from ..data.calendar import named
from ..live.issue_log import live_experiment
from ..live.track_record import MONITOR, OUTCOMES, Record, totals
from ..reporting.live_figures import live_pictures
from ..tracking.locks import store_lock
from ..tracking.runs import close_the_dead, whole_run


def log_record(client: mlflow.MlflowClient, record: Record) -> str:
    """Log a record to its own run, or find the run that already logged the same record; return the run's id.

    Metrics by month have the month's position as their step, so that MLflow draws them.
    """
    experiment = live_experiment(client)
    which = (
        f"tags.kind = '{MONITOR}' and tags.registered_model = '{record.name}' and tags.digest = '{record.digest}' "
        "and attributes.status = 'FINISHED'"
    )
    with store_lock(record.name, "monitor", wait=60):
        if same := client.search_runs([experiment], which, max_results=1):
            return str(same[0].info.run_id)
        close_the_dead(client, experiment, MONITOR, record.name)
        live, last = record.champion, record.issued[-1].issue.month
        tags = {
            "kind": MONITOR,
            "registered_model": record.name,
            "digest": record.digest,
            "month": f"{last:%Y-%m-%d}",
            "health": record.alarm or "as promised, as far as can be told",
        }
        with whole_run(client, experiment, f"what came true, to {named(last)}", tags) as run:
            run.tables(
                {
                    OUTCOMES: record.outcomes,
                    "by_version.csv": record.by_version,
                    "contributions.csv": record.contributions.reset_index(names="factor"),
                    "exposures.csv": record.exposures.reset_index(names="descriptor"),
                }
            )
            shadows = {f"shadow_{version}/": shadow for version, shadow in record.shadows.items()}
            for prefix, months in {"": live, **shadows}.items():
                if months is not None and len(months.months):
                    run.monthly(months.months.select_dtypes("number").add_prefix(prefix))
                    run.metrics({f"{prefix}{name}": value for name, value in totals(months).items()})
            if live is not None and len(live.months):
                run.figures({name: picture.png for name, picture in live_pictures(live).items()})
            return run.run_id
