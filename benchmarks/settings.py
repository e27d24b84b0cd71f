"""How large and how often: the real measurement, and a quick one for development."""

from dataclasses import asdict, dataclass, field

from benchmarks.rows import Sizes

MIXES = (0.05, 0.5)
BATCHES = (8, 64)
SEED = 17


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What a run measures.

    Attributes:
        sizes: sequences of each source.
        repetitions: of everything that has a spread.
        window_seconds: of one measurement of throughput.
        prefixes: lengths up to which ratio errors are looked for, in sequences.
        rank_steps: how many steps of the world sizes are compared.
        text_bytes: of the text that every tool tokenises.
        large_text_bytes: of the text beside which what starts and ends whatever the size is small.
        text_repetitions: of both.
        memory_batches: at how many batches memory is looked at, twice.
        scale_tokens, scale_shards, scale_sources: of the large manifests.
    """

    sizes: Sizes = field(default_factory=lambda: Sizes(spec=3_906, general=31_250))  # 8 and 64 million tokens
    repetitions: int = 5
    window_seconds: float = 1.0
    prefixes: tuple[int, ...] = (100, 1_000, 10_000)
    rank_steps: int = 100
    text_bytes: int = 40_000_000
    large_text_bytes: int = 256_000_000
    text_repetitions: int = 3
    memory_batches: tuple[int, int] = (10_000, 100_000)
    scale_tokens: int = 15_000_000_000_000
    scale_shards: int = 200_000
    scale_sources: int = 40

    @property
    def num_sequences(self) -> int:
        """Sequences of a run: about an epoch of the general source, in whole steps for every batch measured."""
        return self.sizes.general // 192 * 192

    def mix(self, spec_share: float, global_batch: int, *, runs: int = 1) -> dict[str, float | int]:
        """A mix as `benchmarks.peers.port.Mix` takes it, of so many times the usual length."""
        return {"spec_share": spec_share, "global_batch": global_batch, "num_sequences": runs * self.num_sequences, "seed": SEED}

    def as_json(self) -> dict[str, object]:
        return asdict(self) | {"mixes": MIXES, "batches": BATCHES, "seed": SEED}


FULL = Settings()
QUICK = Settings(
    sizes=Sizes(spec=1_600, general=12_800),
    repetitions=2,
    window_seconds=0.3,
    text_bytes=3_000_000,
    large_text_bytes=6_000_000,
    text_repetitions=2,
    memory_batches=(1_000, 10_000),
    scale_tokens=150_000_000_000,
    scale_shards=2_000,
)


def mix_name(spec_share: float) -> str:
    """5:95 for 0.05."""
    return f"{spec_share * 100:g}:{100 - spec_share * 100:g}"
