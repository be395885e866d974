"""The command line: the only place that prints, exits and reads argv.

Imports are inside the commands: `harness --help` and `harness leaderboard` load no torch and no scikit-learn.
"""

import signal
import sys
from types import FrameType
from typing import Any

import typer

from harness.cli import (
    board,
    compressing,
    doctor,
    dueling,
    exporting,
    judging,
    organising,
    packages,
    predicting,
    preparing,
    profiling,
    reporting,
    searching,
    training,
    verifying,
)
from harness.errors import HarnessError
from harness.report.clean import clean

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Judges image classifiers by macro F1 and by time, interleaved with a baseline, in a sandbox.",
)
app.add_typer(preparing.app, name="prepare")
app.command("evaluate")(judging.evaluate)
app.command("train")(training.train)
app.command("search")(searching.search)
app.command("export")(exporting.export)
app.command("compress")(compressing.compress)
app.command("predict")(predicting.predict)
app.command("profile")(profiling.profile)
app.add_typer(doctor.app, name="doctor")
app.command("duel")(dueling.duel)
app.command("compare")(verifying.compare)
app.command("verify")(verifying.verify)
app.command("rescore")(verifying.rescore)
app.command("check")(judging.check)
app.command("audit")(judging.audit)
app.command("leaderboard")(board.leaderboard)
app.command("report")(reporting.report)
app.command("withdraw")(organising.withdraw)
app.command("supersede")(organising.supersede)
app.command("freeze")(organising.freeze)
app.command("new")(packages.new)
app.command("score")(packages.score)

INTERRUPTED = 130
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # exit codes 130, 143, 129
_LONG = 2000  # characters of an error's line
# The base of typer's own errors, whether typer brings its own click or uses the one that is installed.
_ClickException: type[Exception] = typer.BadParameter.__mro__[2]


def main() -> None:
    """Runs the command line and exits: 0, an error's code (see harness.errors), 128 + a signal that stopped it."""
    stopped = []
    taken = [number for number in _STOPS if signal.getsignal(number) is not signal.SIG_IGN]  # not what nohup ignores

    def stop(number: int, frame: FrameType | None) -> None:
        """A stop, a closed terminal and a Ctrl-C go one way, once: what ends then is not ended in the middle."""
        for each in taken:
            signal.signal(each, signal.SIG_IGN)
        stopped.append(number)
        signal.default_int_handler(number, frame)

    for number in taken:
        signal.signal(number, stop)
    code = run(sys.argv[1:])
    sys.exit(128 + stopped[0] if stopped and code == INTERRUPTED else code)


def run(arguments: list[str]) -> int:
    """Runs one command and returns its exit code; an error is one line on stderr."""
    try:
        code = app(arguments, prog_name="harness", standalone_mode=False)
    except HarnessError as error:
        print(f"harness: {clean(error.message, _LONG)}", file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except _ClickException as error:
        return _mistake(error)
    except BrokenPipeError:  # `harness leaderboard | head`
        sys.stderr.close()
        return 141
    if code == INTERRUPTED:  # some versions of typer return it, others raise
        print("harness: interrupted", file=sys.stderr)
    return int(code or 0)


def _mistake(error: Any) -> int:
    """A wrong command line, in one line; where there was no command at all, typer has printed the help."""
    said = " ".join(error.format_message().split()).removesuffix(".").replace("Value error, ", "")
    if said:
        command = "harness" if error.ctx is None else error.ctx.command_path
        print(f"harness: {said[0].lower()}{said[1:]}; see `{command} --help`", file=sys.stderr)
    return int(error.exit_code)
