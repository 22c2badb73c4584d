"""Command line, configuration, launch and control of a run.

    main.py, commands/          `redline`, one file per command
    config.py                   the schema: one dataclass tree, composed of every room's settings
    load.py, validation.py      presets, files and overrides merged onto it, and checked
    plan.py, resources.py       what a run would do, and whether this cluster can
    training.py                 a run from start to end; read this one first
      run_directory.py          its folder          checkpoints.py   what it goes on from
      task_supply.py            its tasks           task_order.py    which group works on which
      launch.py                 Ray: plain classes become actors
      fleet.py                  all workers, started in parallel
      handles.py                Ray handles behind the protocols of ports.py
      learner_handle.py         all ranks of the learner behind one
      controller.py             the main loop       credits.py       the rules that bound staleness
      evaluating.py             held-out solve rates before and after
      report.py, result.py      tables, picture, page, result.json
    progress.py, live.py        what the user sees   metrics.py       the curves of each step
    monitoring/                 every number of a run, and where it goes
    status_file.py, top_view.py what a run does now, for whoever watches from outside
    guardian.py, stopping.py    nobody is left behind, whatever ends the run
    warm_start.py               supervised fine-tuning before any of this

Only `launch.py`, `ray_ports.py`, the handles and `monitoring/ray_export.py` import ray; `config.py`
imports no engine at all.
"""
