"""What runs within an allocation of a cluster: `python -m orchestrator.doctor.job OUTPUT.json CONFIG.yaml`, with RAY_ADDRESS set.

It looks at the machine that it is on and at all nodes, and always leaves OUTPUT.json, whole: whoever has submitted it waits for that.
"""

import signal
import socket
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from orchestrator.config.load import read_config
from orchestrator.doctor.apart import check_nodes_apart
from orchestrator.doctor.findings import Finding, Report, finding
from orchestrator.doctor.here import check_here
from orchestrator.doctor.inputs import refusal
from orchestrator.errors import InterruptedRunError, OrchestratorError
from orchestrator.runs.records import write_record

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP)


def look_everywhere(config: Path) -> Iterator[Finding]:
    """Findings of this machine, then those of the nodes; what fails on the way is one, too.

    Args:
        config: the file of a run's configuration.
    """
    where = socket.gethostname()
    try:
        read = read_config(config)
    except OrchestratorError as error:
        yield refusal("configuration", where, error)
        return
    try:
        yield from check_here(read)
        yield from check_nodes_apart(read)
    except OrchestratorError as error:
        yield refusal("doctor", where, error)
    except Exception as error:
        traceback.print_exc()
        yield finding(
            "doctor", where, "bad", f"{type(error).__name__}: {error}", limit="", remedy="This is a bug in midtrain; please report it."
        )


def _stop(number: int, _: object) -> NoReturn:
    raise InterruptedRunError(f"stopped by {signal.Signals(number).name} before all was looked at. Give the job more time.")


def main() -> None:
    """Look, and write the report; exit 0 when it is written, whatever it says. All of it is printed, too, should it not be."""
    output, config = map(Path, sys.argv[1:])
    for number in _SIGNALS:
        signal.signal(number, _stop)
    began = time.monotonic()
    findings = list(look_everywhere(config))
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    for each in findings:
        print(f"{each.verdict}: {each.check} on {each.where}: {each.value}. {each.remedy}".strip(), flush=True)
    write_record(output, Report(seconds=time.monotonic() - began, findings=findings))


if __name__ == "__main__":
    main()
