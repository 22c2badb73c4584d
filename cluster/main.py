"""The `redline` command: its sub-commands and the way that errors become exit statuses.

Exit status 0 means success, 1 that the work failed, 2 wrong usage or input; the latter two come
with one line on stderr. Sub-commands import engines inside their functions, so that `--help`
stays quick.
"""

import errno
import sys
from typing import NoReturn

import typer

from redline.cluster.commands import (
    dashboard,
    demos,
    doctor,
    dsl,
    evaluate,
    export,
    monitoring,
    repair,
    replay,
    sandbox,
    scale,
    sft,
    status,
    stop,
    submit,
    tasks,
    top,
    train,
    wrong,
)
from redline.cluster.errors import UserError, WorkFailed, one_line

# Typer brings its own copy of Click; this is the base of all its complaints about usage.
_Complaint: type[Exception] = next(
    base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException"
)
_INTERRUPTED = 130
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})

app = typer.Typer(
    name="redline",
    help="Teach small language models to repair Python code by editing it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("train")(train.train)
app.command("sft")(sft.sft)
app.command("eval")(evaluate.evaluate)
app.command("repair")(repair.repair)
app.command("export")(export.export)
tasks.app.command("demos")(demos.demos)
tasks.app.command("wrong")(wrong.wrong)
app.add_typer(tasks.app, name="tasks")
app.add_typer(dsl.app, name="dsl")
app.add_typer(sandbox.app, name="sandbox")
app.add_typer(replay.app, name="replay")
app.command("top")(top.top)
app.command("monitoring")(monitoring.monitoring)
app.command("dashboard")(dashboard.dashboard)
app.command("submit")(submit.submit)
app.command("status")(status.status)
app.command("stop")(stop.stop)
app.command("scale")(scale.scale)
app.command("doctor")(doctor.doctor)


def main() -> NoReturn:
    """Entry point of the console script."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit status, errors told in one line on stderr."""
    try:
        outcome = app(args=arguments, prog_name="redline", standalone_mode=False)
    except (UserError, WorkFailed) as error:
        return _complain(one_line(error), error.exit_code)
    except _Complaint as error:
        return _complain_of_usage(error)
    except (KeyboardInterrupt, typer.Abort):
        return _complain("interrupted", _INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output left; there is nobody to tell
        return 1
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        return _complain(f"{one_line(error)}; make room, then train and sft go on with --resume", 1)
    return outcome if isinstance(outcome, int) else 0


def _complain(message: str, status: int) -> int:
    if message:
        print(f"redline: {message}", file=sys.stderr, flush=True)
    return status


def _complain_of_usage(error: Exception) -> int:
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        print(_help_of(context), file=sys.stderr)
        return 2
    message = " ".join(error.format_message().split()).rstrip(".")  # type: ignore[attr-defined]
    hint = f" (see `{context.command_path} --help`)" if context is not None else ""
    return _complain(f"{message}{hint}", 2)


def _help_of(context: typer.Context | None) -> str:
    """The help text of a command group that was called without a command."""
    return context.get_help() if context is not None else "redline --help lists the commands"


if __name__ == "__main__":
    main()
