"""The peers: to add one, write its adapter in `benchmarks/peers/`, its requirements in `benchmarks/environments/`, and its line here."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the tables.

    Attributes:
        key: what ONLY names it by.
        title: what the tables call it.
        environment: which requirements it runs with; `own`: this project's interpreter.
        measures: what is asked of it.
    """

    key: str
    title: str
    environment: str
    measures: frozenset[str]

    @property
    def module(self) -> str:
        return f"benchmarks.peers.{self.key}"


_ALL = frozenset({"throughput", "resume", "ratio", "ranks"})

PEERS = (
    Entry("limit", "the limit: gather, no loader", "own", frozenset({"throughput"})),
    Entry("limit_in_blocks", "the limit in blocks of 2 MiB", "own", frozenset({"throughput"})),
    Entry("ours", "midtrain, in process", "own", _ALL),
    Entry("mosaic", "MosaicML streaming", "mosaic", _ALL),
    Entry("mosaic_stratified", "MosaicML streaming, stratified", "mosaic", frozenset({"ratio", "ranks"})),
    Entry("litdata", "LitData", "peers", _ALL),
    Entry("grain", "Google grain", "peers", _ALL),
    Entry("datasets", "HF datasets, map-style", "peers", _ALL),
    Entry("datasets_streaming", "HF datasets, streaming", "peers", _ALL),
    Entry("megatron", "megatron-core", "peers", _ALL),
)
_RAW = frozenset({"preparing", "preparing large", "preparing unconvertible"})
TOKENISERS = (
    Entry("encode_batch", "tokenizers, encode_batch alone", "own", _RAW),
    Entry("ours", "midtrain prepare", "own", frozenset({"preparing", "preparing large"})),
    Entry("ours_units", "midtrain prepare, Ray already started", "own", frozenset({"preparing", "preparing unconvertible"})),
    Entry("hf_datasets", "HF datasets.map", "peers", frozenset({"preparing"})),
    Entry("datatrove", "datatrove DocumentTokenizer", "peers", frozenset({"preparing"})),
    Entry("dolma", "dolma tokens", "dolma", frozenset({"preparing"})),
)
