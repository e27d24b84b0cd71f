"""Where the seconds of a step go, by kinds of work: torch's profiler, read by operator and shape."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from torch.profiler import ProfilerActivity, profile

_PRODUCTS = ("mm", "addmm", "bmm", "linear", "baddbmm")
_KINDS = {  # an operator's name, without aten::, begins with
    "attention": ("_scaled_dot_product", "scaled_dot_product", "_flash_attention"),
    "optimiser": ("_fused_adamw", "_foreach"),
    "embedding": ("embedding", "index_select"),
    "copies, casts and fills": ("copy_", "cat", "fill_", "zero_", "clone", "_to_copy", "flatten_dense", "_foreach_copy"),
    "between ranks": ("gloo:", "c10d::", "record_param_comms"),
}


def seconds_by_kind(step: Callable[[], Any], steps: int, vocabulary: int) -> dict[str, float]:
    """Seconds a step of the main thread's own time in each kind of operator; "all" is the whole.

    Args:
        step: makes one.
        steps: how many are watched.
        vocabulary: by whose size the output layer's operators are known.
    """
    step()
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as watched:
        for _ in range(steps):
            step()
    seconds: dict[str, float] = defaultdict(float)
    for event in watched.key_averages(group_by_input_shape=True):
        seconds[_kind(event.key, str(vocabulary) in str(event.input_shapes))] += event.self_cpu_time_total / 1e6 / steps
    return {"all": sum(seconds.values()), **seconds}


def _kind(name: str, has_vocabulary: bool) -> str:
    operator = name.removeprefix("aten::")
    for kind, beginnings in _KINDS.items():
        if operator.startswith(beginnings) and not (kind.startswith("copies") and has_vocabulary):
            return kind
    if operator in _PRODUCTS:
        return "output layer: products" if has_vocabulary else "layers: products"
    return "output layer: the rest of the loss" if has_vocabulary else "layers: norms, rotary, activations, sums and Python"
