"""The inside of a measured process: a request in JSON a line on standard input, an answer in JSON a line on standard output."""

import argparse
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any

Task = Callable[[dict[str, Any]], Any]


def serve(tasks: Mapping[str, Task]) -> None:
    """Answer requests until standard input ends, or the one that the command line makes.

    Args:
        tasks: what can be asked for, by the request's `task`; each takes the rest of the request and returns what JSON can hold.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--task", choices=[*tasks], help="do this one, and end; without it: requests from standard input")
    parser.add_argument("--request", type=json.loads, default={}, help="the task's parameters, as JSON")
    arguments = parser.parse_args()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    lines = [json.dumps(arguments.request | {"task": arguments.task})] if arguments.task else sys.stdin
    for line in lines:
        request = json.loads(line)
        print(json.dumps(_answer(tasks[request.pop("task")], request)), file=answers, flush=True)


def _answer(task: Task, request: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"result": task(request)}
    except Exception as error:
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {first_line(error)}"}


def first_line(error: object) -> str:
    """What an error says, in one line."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "no message"
