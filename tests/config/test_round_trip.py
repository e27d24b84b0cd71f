"""`dump_config` and `read_config` are inverse to each other."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from orchestrator.config.data import CorpusConfig, FeedConfig, MixtureConfig, ShardsConfig, SourceConfig, StageConfig
from orchestrator.config.load import dump_config, load_config, read_config
from orchestrator.config.operation import (
    BudgetsConfig,
    CheckpointsConfig,
    DeadlinesConfig,
    EvaluationConfig,
    PreemptionConfig,
    RunConfig,
    SchedulingConfig,
    TrackingConfig,
)
from orchestrator.config.schema import Config
from orchestrator.config.training import LoraConfig, ModelConfig, NumericsConfig, OffloadConfig, TrainingConfig

counts = st.integers(1, 10**12)
shares = st.floats(0, 1)
positive = st.floats(0, exclude_min=True, allow_infinity=False)
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]*", fullmatch=True) | st.sampled_from(
    ["no", "on", "null", "1e3", "0x1", "2024-01-01", "1_0", "1.0"]
)
texts = st.text(st.characters(codec="ascii")) | names
folders = texts.filter(lambda text: "://" not in text)
paths = st.lists(texts).map(tuple)


@st.composite
def sources(draw: st.DrawFn) -> SourceConfig:
    held = draw(paths)
    return SourceConfig(
        role=draw(st.sampled_from(["spec", "general"])),
        paths=draw(st.lists(texts, min_size=1).map(tuple)),
        heldout_paths=held,
        heldout_share=0.0 if held else draw(shares),
        text_field=draw(texts),
        markdown=draw(st.sampled_from(["file", "section"])),
        weight=draw(positive),
    )


@st.composite
def mixtures(draw: st.DrawFn, source_names: list[str]) -> MixtureConfig:
    by_ratio = draw(st.booleans())
    ratios = {name: 1.0 / len(source_names) for name in source_names} if by_ratio else {}
    counted = {} if by_ratio else {source_names[0]: draw(counts)}
    stage = StageConfig(
        steps=draw(st.none() | counts),
        spec_share=None if by_ratio else draw(shares),
        end_spec_share=None if by_ratio else draw(st.none() | shares),
        ratios=ratios,
        end_ratios=ratios,
        source_tokens=counted,
    )
    return MixtureConfig(
        total_tokens=draw(counts),
        spec_share=None if by_ratio else draw(shares),
        ratios=ratios,
        source_tokens=counted,
        source_epochs={}
        if by_ratio
        else draw(st.dictionaries(st.sampled_from(source_names[1:]), positive) if source_names[1:] else st.just({})),
        stages=draw(st.sampled_from([(), (stage,), (StageConfig(tokens=5), stage)])),
        max_epochs=draw(st.dictionaries(st.sampled_from(source_names), positive)),
        unique_tokens=draw(st.dictionaries(st.sampled_from(source_names), counts)),
        seed=draw(st.integers(0, 2**63)),
    )


places = st.sampled_from(["none", "cpu"])
offloads = st.builds(OffloadConfig, optimizer=places, parameters=places, nvme_path=st.none()) | st.builds(
    OffloadConfig, optimizer=places, parameters=st.just("nvme"), nvme_path=st.just("/fast")
)
warmups = st.tuples(shares, st.none()) | st.tuples(st.none(), st.integers(0, 10**9))
trainings = warmups.flatmap(
    lambda warmup: st.builds(
        TrainingConfig,
        sequence_length=st.integers(8, 10**6),
        sequences_per_step=st.just(6),
        micro_batch=st.just(3),
        precision=st.sampled_from(["fp32", "bf16"]),
        zero_stage=st.just(3),
        offload=offloads,
        activation_checkpointing=st.booleans(),
        attention=st.sampled_from(["auto", "sdpa", "eager"]),
        compile=st.booleans(),
        liger=st.just(False),
        lora=st.none() | st.builds(LoraConfig, rank=counts, alpha=positive, targets=paths, dropout=st.floats(0, 0.9)),
        numerics=st.builds(
            NumericsConfig,
            nonfinite=st.sampled_from(["skip", "rollback", "stop"]),
            spike=st.sampled_from(["ignore", "skip", "rollback", "stop"]),
            spike_sigmas=positive,
            window_steps=counts,
            max_skipped_steps=st.integers(0, 99),
        ),
        learning_rate=positive,
        schedule=st.sampled_from(["constant", "linear", "cosine", "warmup_stable_decay"]),
        warmup_share=st.just(warmup[0]),
        warmup_steps=st.just(warmup[1]),
        initial_learning_rate_share=shares if any(warmup) else st.just(0.0),
        decay_share=st.floats(0.01, 1),
        final_learning_rate_share=shares,
        weight_decay=positive,
        adam_beta1=st.floats(0, 0.999),
        adam_beta2=st.floats(0, 0.999),
        gradient_clip=positive,
        seed=st.integers(0, 2**63),
        log_every_steps=counts,
        peak_tflops_per_rank=st.none() | positive,
    )
)


@st.composite
def corpora(draw: st.DrawFn) -> CorpusConfig:
    sets = draw(st.dictionaries(names, st.lists(texts, min_size=1, max_size=2).map(tuple), max_size=3))
    return CorpusConfig(
        max_reject_share=draw(shares),
        max_document_tokens=draw(st.none() | counts),
        duplicates=draw(st.sampled_from(["report", "remove"])),
        evaluation_sets=sets,
        allowed_overlap=tuple(draw(st.lists(st.sampled_from(sorted(sets)))) if sets else ()),
    )


@st.composite
def configs(draw: st.DrawFn) -> Config:
    by_name = draw(st.dictionaries(names, sources(), min_size=1, max_size=3))
    return Config(
        run=RunConfig(name=draw(names), dir=draw(folders)),
        model=ModelConfig(
            path=draw(texts), start_from=None, initialise=draw(st.sampled_from(["pretrained", "scratch"])), description=draw(texts)
        ),
        sources=by_name,
        corpus=draw(corpora()),
        shards=ShardsConfig(
            dir=draw(folders),
            document_separator=draw(st.none() | st.text(min_size=1)),
            shard_bytes=draw(counts),
            packing=draw(st.sampled_from(["concatenate", "best_fit"])),
        ),
        mixture=draw(mixtures(list(by_name))),
        feed=FeedConfig(
            workers=draw(counts),
            on_cpu_nodes=draw(st.booleans()),
            block_bytes=draw(counts),
            prefetch_blocks=draw(counts),
            document_attention=draw(st.booleans()),
        ),
        training=draw(trainings),
        checkpoints=CheckpointsConfig(
            every_steps=draw(counts),
            insurance_minutes=draw(st.floats(0, 600)),
            max_failed_saves=draw(st.integers(0, 9)),
            second_home=draw(st.sampled_from([None, "s3://bucket/runs/mine", "file:///mnt/runs"])),
            answer_seconds=draw(st.floats(0.1, 1e6)),
            finish_upload_seconds=draw(st.floats(0, 1e6)),
        ),
        evaluation=EvaluationConfig(
            every_steps=draw(counts), max_sequences=draw(counts), probes=draw(st.dictionaries(names, paths.filter(bool), max_size=2))
        ),
        tracking=TrackingConfig(
            wandb=draw(st.sampled_from(["off", "offline", "online"])),
            project=draw(texts),
            group=draw(st.none() | st.text(min_size=1, max_size=8)),
            tags=tuple(draw(st.lists(st.text(min_size=1, max_size=8), max_size=3))),
            system_metrics=draw(st.booleans()),
            finish_seconds=draw(st.floats(0, 1e6)),
        ),
        scheduling=draw(schedulings()),
    )


@st.composite
def schedulings(draw: st.DrawFn) -> SchedulingConfig:
    seconds, restarts = st.floats(0.1, 1e6), st.integers(0, 100)
    phases = ("start", "load", "first_step", "step", "save", "evaluate", "end")
    classes = ("preempted", "infrastructure", "data", "numerics", "bug")
    return SchedulingConfig(
        world_size=2,
        min_world_size=draw(st.sampled_from([None, 1, 2])),
        gpus_per_rank=draw(st.integers(0, 1)),
        threads_per_rank=draw(counts),
        exclude_node_after=draw(counts),
        deadlines=DeadlinesConfig(**{phase: draw(seconds) for phase in phases}),
        budgets=BudgetsConfig(**{name: draw(restarts) for name in classes}),
        preemption=PreemptionConfig(
            signals=tuple(draw(st.lists(st.sampled_from(["TERM", "USR1", "USR2", "HUP"])))), grace_seconds=draw(seconds)
        ),
    )


@cache
def load_smallest() -> Config:
    return load_config(["run.name=a", "model.path=/m", "mixture.total_tokens=1", "sources.spec={role:spec,paths:[/a.md]}"])


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run") / "config.yaml"


def round_trip(config: Config, file: Path) -> Config:
    file.write_text(dump_config(config), encoding="utf-8")
    return read_config(file)


@settings(max_examples=60, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(config=configs())
def test_what_is_dumped_reads_back_equal(file: Path, config: Config) -> None:
    assert round_trip(config, file) == config


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=8))
@example(text="\x85")
@example(text="\u2028\ufeff")
@example(text="\r\n \t")
def test_any_text_reads_back_equal(file: Path, text: str) -> None:
    config = load_smallest()
    changed = replace(
        config,
        tracking=replace(config.tracking, project=text),
        model=replace(config.model, description=f"a {text} b"),
    )
    assert round_trip(changed, file) == changed
