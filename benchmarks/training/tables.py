"""The results as Markdown tables. Pure: from what `.bench/training.json` holds to text."""

import statistics
from typing import Any

from benchmarks.measures.bench import failed
from benchmarks.tables import spread, table
from benchmarks.training.measures import PEERS
from benchmarks.training.sizes import LENGTH, SIZES, Size

BEGIN, END = "<!-- make bench-train writes below -->", "<!-- make bench-train writes above -->"


def between_markers(document: str, tables: str) -> str:
    """A document with the tables in place of what its markers enclose."""
    before, rest = document.split(BEGIN, 1)
    return f"{before}{BEGIN}\n\n{tables.strip()}\n\n{END}{rest.split(END, 1)[1]}"


def render(results: dict[str, Any]) -> str:
    """All tables of a run; a part that was not measured has none."""
    parts = [f"Measured on {'; '.join(f'{name}: {value}' for name, value in results['machine'].items())}."]
    for size in SIZES:
        if size.key in results:
            parts += [f"### {size.title}", _peers(size, results[size.key]), _peers_said(size, results[size.key])]
        if f"{size.key} step" in results:
            composition = results[f"{size.key} step"]
            parts += ["### What a step is made of", _variants(size, composition), _variants_said(size)]
            parts += [_kinds(composition), _KINDS_SAID] if not all(map(failed, composition.values())) else []
        if f"{size.key} saves" in results:
            parts += ["### Saves", _saves(results[f"{size.key} saves"]), _saves_said(size)]
    return "\n\n".join(parts) + "\n"


def _peers(size: Size, found: dict[str, Any]) -> str:
    rows = []
    for key, title in PEERS.items():
        rates = found.get(key, [])
        if failed(rates):
            rows.append([title, spread(rates), "-", "-", "-"])
        elif rates:
            share = spread([_share(size, *pair) for pair in zip(rates, found["limit"], strict=False)], digits=2)
            rows.append([title, spread(rates, digits=0), *(_against(rates, found.get(other)) for other in ("bare", "bare_head")), share])
    return table(["", "tokens a second", "x the bare loop", "x the bare loop with our head", "of the machine's products"], rows)


def _against(rates: list[float], others: Any) -> str:
    """The ratio turn by turn, as the machine's speed changes from turn to turn."""
    return spread([mine / other for mine, other in zip(rates, others, strict=False)], digits=3) if others and not failed(others) else "-"


def _share(size: Size, rate: float, limit: float) -> float:
    return rate * size.token_flops / limit


def _peers_said(size: Size, found: dict[str, Any]) -> str:
    limit = spread(found["limit"], digits=2, scale=1e12)
    return (
        f"{size.ranks} gloo ranks of one thread, ZeRO 1, {size.micro_batch} x {LENGTH} tokens a rank and step, {len(found['limit'])} turns"
        f". A cell is the **median** of them (least to most), a ratio that of the same turn. The machine's own matrix "
        f"products, {size.precision}, all threads: {limit} TFLOP/s. A token costs {size.token_flops / 1e6:,.1f} MFLOP: "
        f"6 x {size.matrix_parameters / 1e6:.2f} M parameters that it is multiplied by (the output layer once, the look-up of embeddings "
        f"not) and 6 x {LENGTH} x hidden size a layer for causal attention."
    )


def _variants(size: Size, found: dict[str, Any]) -> str:
    rows = []
    for name, one in found.items():
        if failed(one):
            rows.append([name, spread(one), "-", "-", "-"])
            continue
        share = spread([_share(size, *pair) for pair in zip(one["rate"], one["limit"], strict=True)], digits=2)
        rows.append([name, spread(one["rate"], digits=0), share, f"{one['first_seconds']:.1f}", f"{one['peak_bytes'] / 2**30:.1f}"])
    return table(["", "tokens a second", "of the machine's products", "first step, seconds", "peak memory, GiB"], rows)


def _variants_said(size: Size) -> str:
    return (
        f"{size.title}; one process with all threads, sequences of {LENGTH} tokens, ZeRO 1. The machine's products are measured in "
        f"the same process between turns, the best of three squares."
    )


def _saves(found: dict[str, Any]) -> str:
    if failed(found):
        return spread(found)
    ratio = [beside / waited for beside, waited in zip(found["beside"], found["waited"], strict=True)]
    rows = [
        ["training stands still, save waited for", spread(found["waited"], digits=2)],
        ["training stands still, save beside it", spread(found["beside"], digits=2)],
        ["the second of the first", spread(ratio, digits=3)],
        ["from begin to COMMIT, beside a step", spread(found["committed"], digits=2)],
        ["a step, undisturbed", spread(found["steps"], digits=2)],
        ["a step beside which a save is written", spread(found["steps_beside"], digits=2)],
    ]
    return table(["", "seconds"], rows)


def _saves_said(size: Size) -> str:
    return (
        f"{size.title}; {size.ranks} gloo ranks of one thread, ZeRO 1: each rank copies, writes, hashes and fsyncs its half of the "
        f"float32 weights and of AdamW's two moments. On two cores the thread that writes takes its time from a step; on a node with "
        f"cores to spare it does not."
    )


_KINDS_SAID = (
    "Seconds a step of the main thread by torch's profiler, which slows the step itself. Products of the output layer are known by the "
    "vocabulary in their shape."
)


def _kinds(found: dict[str, Any]) -> str:
    measured = {name: one["kinds"] for name, one in found.items() if not failed(one)}
    kinds = sorted({kind for one in measured.values() for kind in one} - {"all"}, key=lambda kind: -_median(measured, kind))
    rows = [[kind, *(_of_all(one.get(kind, 0.0), one["all"]) for one in measured.values())] for kind in ("all", *kinds)]
    return table(["", *measured], rows)


def _median(measured: dict[str, dict[str, float]], kind: str) -> float:
    return statistics.median(one.get(kind, 0.0) for one in measured.values())


def _of_all(seconds: float, total: float) -> str:
    return f"{seconds:.3f} ({100 * seconds / total:.0f} %)"
