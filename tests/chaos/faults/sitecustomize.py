"""Faults that cannot be made from outside a process, put into every Python process that has this folder on PYTHONPATH.

MIDTRAIN_FAULT names the fault and MIDTRAIN_FAULT_FILE a file that triggers it while it exists. A disk fails at the writes of rank 1's state
files, with the errno that the file holds; steps are slow; a loss is NaN on rank 1 at one step; the clock that is set back is Python's.
"""

import importlib.abc
import importlib.util
import os
import sys
import time

FAULT = os.environ.get("MIDTRAIN_FAULT", "")
TRIGGER = os.environ.get("MIDTRAIN_FAULT_FILE", "")
SLOW_SECONDS = 3.0
STEP_SECONDS = 1.0
BACK_SECONDS = 86_400.0


def is_state_file(descriptor):
    try:
        return "/state/rank_00001" in os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return False


def break_writes():
    write = os.write

    def broken(descriptor, data):
        if os.path.exists(TRIGGER) and is_state_file(descriptor):
            with open(TRIGGER) as trigger:
                number = int(trigger.read())
            raise OSError(number, os.strerror(number))
        return write(descriptor, data)

    os.write = broken


def slow_writes():
    write = os.write

    def slow(descriptor, data):
        if os.path.exists(TRIGGER) and is_state_file(descriptor):
            time.sleep(SLOW_SECONDS)
        return write(descriptor, data)

    os.write = slow


def set_clock_back():
    now, gmtime, since = time.time, time.gmtime, time.monotonic
    looked = [0.0, False]

    def offset():
        if since() - looked[0] > 0.2:
            looked[:] = [since(), os.path.exists(TRIGGER)]
        return BACK_SECONDS if looked[1] else 0.0

    time.time = lambda: now() - offset()
    time.gmtime = lambda seconds=None: gmtime(time.time() if seconds is None else seconds)


class AfterImport(importlib.abc.MetaPathFinder):
    """Changes a module once it was imported."""

    def __init__(self, name, change):
        self.name, self.change = name, change

    def find_spec(self, name, path=None, target=None):
        if name != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            self.change(module)

        spec.loader.exec_module = exec_module
        return spec


def make_a_loss_nan(module):
    step = module.Engine.step

    def broken(engine, number, *words, **named):
        losses = engine._losses
        if number + 1 == int(FAULT.removeprefix("nan:")) and engine._engine.global_rank == 1:

            def with_nan(*given):
                total, by_token = losses(*given)
                return total * float("nan"), by_token * float("nan")

            engine._losses = with_nan
        yield from step(engine, number, *words, **named)
        engine._losses = losses

    module.Engine.step = broken


def slow_steps(module):
    step = module.Engine.step

    def slow(engine, number, *words, **named):
        if os.path.exists(TRIGGER):
            time.sleep(STEP_SECONDS)
        yield from step(engine, number, *words, **named)

    module.Engine.step = slow


if FAULT == "errno":
    break_writes()
elif FAULT == "slow":
    slow_writes()
elif FAULT == "clock":
    set_clock_back()
elif FAULT == "slow steps":
    sys.meta_path.insert(0, AfterImport("orchestrator.training.engine", slow_steps))
elif FAULT.startswith("nan:"):
    sys.meta_path.insert(0, AfterImport("orchestrator.training.engine", make_a_loss_nan))
