"""The command line: words in, an exit code out. Each command imports what it needs when it is called, so that --help is quick."""

import sys
import traceback

import typer

from orchestrator.cli import launching, looking, preparing, running, sweeping, using  # noqa: F401  # they register their commands
from orchestrator.cli.words import app
from orchestrator.errors import OrchestratorError


def main() -> None:
    """Run the command line. An error that its user can fix is one message and its exit code; a bug is a traceback and 1."""
    try:
        code = app(standalone_mode=False)
    except OrchestratorError as error:
        print(f"error: {error}", file=sys.stderr)
        code = error.exit_code
    except typer.Abort:
        code = 130
    except Exception as error:
        code = getattr(error, "exit_code", 1)
        if hasattr(error, "format_message"):  # the command line itself was wrong; without a word, the help was printed instead
            if message := error.format_message():
                print(f"error: {message} See midtrain --help.", file=sys.stderr)
        else:
            traceback.print_exc()
            print("error: this is a bug in midtrain; please report it with the lines above.", file=sys.stderr)
    sys.exit(code or 0)
