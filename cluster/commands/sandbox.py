"""`redline sandbox`: what isolation this machine gives, single programs, and speed."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from redline.cluster.commands.isolation_options import (
    MAX_TIER,
    MIN_TIER,
    AllowUnsafe,
    MaxTier,
    MinTier,
    sandbox_settings,
)
from redline.cluster.output import emit_json, say
from redline.cluster.repair.test_input import check_use, read_program, read_tests

app = typer.Typer(help="Run untrusted programs in isolation.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
Workers = Annotated[int, typer.Option(min=1, help="Fork servers.")]


@app.command("probe")
def probe(json: Json = False) -> None:
    """Try which layers of isolation this machine gives."""
    from redline.sandbox.probe import probe as try_layers

    report = try_layers()
    if json:
        emit_json(asdict(report))
    else:
        print(report.as_text())


@app.command("run")
def run(
    program: Annotated[Path, typer.Argument(help="Python file to run.")],
    tests: Annotated[Path, typer.Option(help="One test a line, or a .json list of strings.")],
    json: Json = False,
    min_tier: MinTier = MIN_TIER,
    allow_unsafe: AllowUnsafe = False,
) -> None:
    """Run a program against tests; exit status 1 when a test does not pass."""
    from redline.cluster.isolation import sandbox_problem
    from redline.sandbox.blocking import run_all
    from redline.sandbox.records import ExecutionRequest, InfrastructureError

    settings = sandbox_settings(min_tier, allow_unsafe)
    snippets = read_tests(tests)
    source = read_program(program)
    check_use(source, snippets, tests)
    request = ExecutionRequest(program=source, tests=snippets)
    try:
        (verdict,) = run_all([request], workers=1, settings=settings)
    except InfrastructureError as error:
        raise sandbox_problem(error) from error
    if json:
        statuses = [{"status": str(result.status)} for result in verdict.tests]
        figures = {"passed": verdict.passing, "total": len(verdict.tests), "tier": verdict.tier}
        emit_json({"tests": statuses, **figures})
    else:
        for snippet, result in zip(snippets, verdict.tests, strict=True):
            print(f"{result.status:<10} {snippet}")
            if result.detail:
                print("           " + result.detail.replace("\n", "\n           "))
        print(f"{verdict.passing} of {len(verdict.tests)} passed (isolation: {verdict.tier})")
    if not verdict.passed:
        raise typer.Exit(1)


@app.command("bench")
def bench(
    workers: Workers = 2,
    json: Json = False,
    min_tier: MinTier = MIN_TIER,
    max_tier: MaxTier = MAX_TIER,
    allow_unsafe: AllowUnsafe = False,
) -> None:
    """Measure executions per second and their latency."""
    from redline.cluster.isolation import sandbox_problem
    from redline.sandbox.bench import bench as measure
    from redline.sandbox.records import InfrastructureError

    try:
        settings = sandbox_settings(min_tier, allow_unsafe, max_tier)
        report = measure(workers=workers, settings=settings)
    except InfrastructureError as error:
        raise sandbox_problem(error) from error
    if json:
        emit_json(asdict(report))
    else:
        say(
            f"{report.executions_per_s:.0f} executions/s, p50 {report.p50_ms:.1f} ms, "
            f"p99 {report.p99_ms:.1f} ms, isolation {report.tier}, {report.workers} workers"
        )
