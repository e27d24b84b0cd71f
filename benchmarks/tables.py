"""The results as Markdown tables. Pure: from what `.bench/results.json` holds to text."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.registry import PEERS, TOKENISERS
from benchmarks.settings import mix_name

BEGIN, END = "<!-- make bench-data writes below -->", "<!-- make bench-data writes above -->"
_TITLES = {entry.key: entry.title for entry in PEERS}
_TOOLS = {entry.key: entry.title for entry in TOKENISERS}
_NOTHING = "-"


def between_markers(document: str, tables: str) -> str:
    """A document with the tables in place of what its markers enclose; the prose around them stays."""
    before, rest = document.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    return f"{before}{BEGIN}\n\n{tables.strip()}\n\n{END}{after}"


def render(results: dict[str, Any]) -> str:
    """All tables of a run; a part that was not measured has none."""
    sections = {
        "peers": _peers,
        "throughput": _throughput,
        "feed": _feed,
        "resume": _resume,
        "ratio": _ratio,
        "ranks": _ranks,
        "preparing": _preparing,
        "scale": _scale,
        "memory": _memory,
    }
    parts = [_machine(results["machine"], results["settings"])]
    parts += [section(results[name], results["settings"]) for name, section in sections.items() if results.get(name)]
    parts += [f"Not installed: `{name}`: {_escaped(reason)}" for name, reason in results.get("not installed", {}).items()]
    return "\n\n".join(parts) + "\n"


def spread(values: Any, digits: int = 1, scale: float = 1.0) -> str:
    """Median and range of repetitions, or the failure in their place."""
    if isinstance(values, dict):
        return f"fails: {_escaped(values['error'])}"
    if not values:
        return _NOTHING
    low, middle, high = (f"{each / scale:,.{digits}f}" for each in (min(values), statistics.median(values), max(values)))
    return f"**{middle}** ({low} to {high})"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")[:200]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its first column left-aligned and the others right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _section(title: str, said: str, body: str) -> str:
    return f"### {title}\n\n{body}\n\n{said}"


def _machine(facts: dict[str, str], settings: dict[str, Any]) -> str:
    known = "; ".join(f"{name}: {value}" for name, value in facts.items())
    sizes = settings["sizes"]
    return (
        f"Measured on {known}. Sources of 2,048-token sequences of uint16: spec {sizes['spec']:,}, general {sizes['general']:,}; "
        f"{settings['repetitions']} repetitions, the peers in turn; each cell is the **median** (least to most)."
    )


def _peers(peers: dict[str, Any], settings: dict[str, Any]) -> str:
    rows = []
    for key, found in peers.items():
        if "error" in found:
            rows.append([_TITLES[key], f"fails: {_escaped(found['error'])}", _NOTHING])
        else:
            rows.append([_TITLES[key], found["configuration"], ", ".join(f"{name} {number}" for name, number in found["versions"].items())])
    return _section("What was measured", "Each in one process and without worker processes.", table(["peer", "used as", "versions"], rows))


def _throughput(found: dict[str, Any], settings: dict[str, Any]) -> str:
    cells = [f"{mix_name(mix)}, {batch}" for mix in settings["mixes"] for batch in settings["batches"]]
    rows = [[_TITLES[key], *(spread(peer.get(cell, []), scale=1e6) for cell in cells)] for key, peer in found.items()]
    said = (
        "Million trained tokens a second that a loader hands out in one process, construction and first batch not counted. "
        "Columns: spec:general, sequences a batch. The limit copies random rows of one mapped file into one "
        "buffer of a batch, or of a block, with nothing planned or looked up."
    )
    return _section("Throughput", said, table(["", *cells], rows))


def _feed(found: dict[str, Any], settings: dict[str, Any]) -> str:
    cells = list(dict.fromkeys(cell.split(", ", 1)[1] for cell in found))
    workers = list(dict.fromkeys(cell.split(", ", 1)[0] for cell in found))
    rows = [[f"midtrain, {each}", *(spread(found[f"{each}, {cell}"], scale=1e6) for cell in cells)] for each in workers]
    said = "Million trained tokens a second that one consumer process gets from Ray workers on the same cores, in blocks of 2 MiB."
    return _section("Throughput through Ray", said, table(["", *cells], rows))


def _resume(found: dict[str, Any], settings: dict[str, Any]) -> str:
    def equal(peer: dict[str, Any]) -> str:
        return _NOTHING if "error" in peer else _yes(all(peer["equal"]))

    rows = [[_TITLES[key], spread(peer.get("seconds", peer), digits=3), equal(peer)] for key, peer in found.items()]
    said = (
        "Seconds in a fresh process, its imports done, from the state saved at nine tenths of the run (5:95, batch 8) to the first batch; "
        "and whether the next 20 batches are those of the unbroken run."
    )
    return _section("Resume", said, table(["", "seconds to the first batch", "same batches"], rows))


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "**no**"


def _ratio(found: dict[str, Any], settings: dict[str, Any]) -> str:
    mixes = list(dict.fromkeys(mix for peer in found.values() for mix in peer))
    head = ["", *(f"{mix}, first {length:,}" for mix in mixes for length in settings["prefixes"])]
    rows = [[_TITLES[key], *(cell for mix in mixes for cell in _errors(peer[mix], settings["prefixes"]))] for key, peer in found.items()]
    said = (
        "The largest |spec sequences - share x prefix| over all prefixes up to that many sequences, in sequences; batches of 64 at one "
        "rank. Where a loader ended before, its last sequence is named."
    )
    return _section("Worst ratio error", said, table(head, rows))


def _errors(found: dict[str, Any], prefixes: Sequence[int]) -> list[str]:
    if "error" in found:
        return [f"fails: {_escaped(found['error'])}", *[_NOTHING] * (len(prefixes) - 1)]
    ended = found["sequences"]
    cells = [f"{error:,.1f}" for error in found["errors"]]
    return [f"{cell} (ended at {ended:,})" if ended < length else cell for cell, length in zip(cells, prefixes, strict=True)]


def _ranks(found: dict[str, Any], settings: dict[str, Any]) -> str:
    rows = []
    for key, peer in found.items():
        cells = (
            [f"fails: {_escaped(peer['error'])}", _NOTHING]
            if "error" in peer
            else [_of(each, peer["steps"]) for each in peer["same"].values()]
        )
        rows.append([_TITLES[key], *cells])
    said = "In how many of the first steps (5:95, global batch 48) the ranks together train the same set of sequences as one rank does."
    return _section("Same order at other world sizes", said, table(["", "2 ranks", "3 ranks"], rows))


def _of(same: int, steps: int) -> str:
    return f"yes, {same} of {steps}" if same == steps else f"**no**, {same} of {steps}"


def _preparing(found: list[dict[str, Any]], settings: dict[str, Any]) -> str:
    return "\n\n".join(_preparing_text(each) for each in found)


def _preparing_text(found: dict[str, Any]) -> str:
    tools, megabytes = found["tools"], found["text_bytes"] / 1e6
    tokens = [number for tool in tools.values() for cell in tool.values() for number in cell.get("tokens", [])]
    most = max(tokens, default=0)
    rows = [
        [_TOOLS[key], *(_rate(tool.get(cores, {"seconds": []}), megabytes) for cores in ("1", "2")), _kept(tool, most)]
        for key, tool in tools.items()
    ]
    said = (
        f"MB of text a second, {megabytes:.1f} MB in eight JSONL.zst files to token files, the process bound to so many cores; "
        f"starting Python and imports are counted for the whole command only. Tokens: how many are missing "
        f"of {most:,}, a separator a document counted."
    )
    return _section(f"Preparing {megabytes:.0f} MB{found['said']}", said, table(["", "1 core", "2 cores", "tokens missing"], rows))


def _rate(cell: dict[str, Any], megabytes: float) -> str:
    return spread(cell) if "error" in cell else spread([megabytes / seconds for seconds in cell["seconds"]], digits=2)


def _kept(tool: dict[str, Any], most: int) -> str:
    missing = sorted({most - number for cell in tool.values() for number in cell.get("tokens", [])})
    return " / ".join(f"{number:,}" for number in missing) or _NOTHING


def _scale(found: dict[str, Any], settings: dict[str, Any]) -> str:
    rows = [
        ["read manifests, seconds", _part(found["plan"], lambda one: one["read_seconds"])],
        ["plan, seconds", _part(found["plan"], lambda one: one["plan_seconds"], 4)],
        ["summarise the plan, seconds", _part(found["plan"], lambda one: one["summarise_seconds"])],
        ["first batch of a fresh process, seconds", _part(found["first_batch"], lambda one: one["seconds"])],
        ["its peak memory, MiB", _part(found["first_batch"], lambda one: one["peak_bytes"] / 2**20, 0)],
        ["a seek to a random step, milliseconds", _part(found["first_batch"], lambda one: 1e3 * statistics.median(one["seek_seconds"]))],
    ]
    said = (
        f"{settings['scale_tokens']:,} tokens in {settings['scale_shards']:,} sparse shards of {settings['scale_sources']} sources; "
        f"rank 3,071 of 4,096, blocks of 2 MiB; a seek builds a block at a random step, the median of 20."
    )
    failure = [f"Making the manifests fails: {_escaped(found['made']['error'])}"] if isinstance(found["made"], dict) else []
    return "\n\n".join([_section("Scale", said, table(["midtrain", ""], rows)), *failure])


def _part(found: Any, pick: Callable[[dict[str, Any]], float], digits: int = 2) -> str:
    return spread(found if isinstance(found, dict) else [pick(one) for one in found], digits)


def _memory(found: Any, settings: dict[str, Any]) -> str:
    if isinstance(found, dict):
        return _section("Memory", "", f"fails: {_escaped(found['error'])}")
    rows = [[f"{one['batches']:,}", *(_mebibytes(one[who]) for who in ("consumer", "worker"))] for one in found]
    said = "Resident MiB after so many one-sequence batches through one Ray worker; of these, neither mapped files nor shared memory."
    return _section("Memory", said, table(["batches", "consumer", "worker"], rows))


def _mebibytes(memory: dict[str, int]) -> str:
    return f"{memory['rss_bytes'] / 2**20:,.0f}, of these {memory['private_bytes'] / 2**20:,.0f}"
