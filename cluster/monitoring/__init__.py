"""What a run tells about itself, and to whom.

    definitions.py, tables/     every metric: name, kind, unit, meaning, what to do when it is bad
    board.py                    the numbers as they are now, checked against the definitions
    numbers.py                  what workers and steps tell, as numbers of the board
    polling.py                  asks every worker about itself
    monitor.py                  keeps board, status file and exporter up to date while a run lasts
    ray_export.py               the board through `ray.util.metrics`, for Prometheus
    sinks.py, wandb_sink.py, mlflow_sink.py     curves to other places than TensorBoard
    grafana.py, panels*.py, alerts.py           dashboard and alert rules, generated and checked
    reference.py                docs/metrics.md
    files/                      what the last two write, shipped with the package

Only `ray_export.py` imports Ray; nothing here is imported by workers.
"""
