"""No knob that nothing reads, and no knob that `conf/` does not show."""

from collections import ChainMap
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

import orchestrator
from orchestrator.config import schema
from orchestrator.config.data import SourceConfig
from orchestrator.config.load import load_config
from orchestrator.config.operation import SchedulingConfig
from orchestrator.config.sweep import EarlyStoppingConfig, IntervalConfig, ProxyConfig, SamplerConfig, SweepConfig
from orchestrator.config.training import LoraConfig, NumericsConfig, OffloadConfig
from orchestrator.config.varied import load_sweep
from orchestrator.resources import resource
from tests.config.typed_reads import fields_read

PACKAGE = Path(orchestrator.__file__).parent
CONF = resource("conf")
GROUPS: dict[str, Any] = {group.name: group.type for group in fields(schema.Config)}
GROUPS["sources"] = SourceConfig
GROUPS["sweep"] = SweepConfig
CHOICES = [(name, file) for name in GROUPS if name != "sources" for file in sorted((CONF / name).glob("*.yaml"))]
WITHIN_SCHEDULING = {
    f"scheduling.{name}": cls for name, cls in SchedulingConfig.__annotations__.items() if name in ("deadlines", "budgets", "preemption")
}
CLASSES = {
    **GROUPS,
    "training.lora": LoraConfig,
    "training.numerics": NumericsConfig,
    "training.offload": OffloadConfig,
    **WITHIN_SCHEDULING,
    "sweep.vary": IntervalConfig,
    "sweep.sampler": SamplerConfig,
    "sweep.early_stopping": EarlyStoppingConfig,
    "sweep.proxy": ProxyConfig,
}
KNOBS = [(name, group, field.name) for name, group in CLASSES.items() for field in fields(group)]


def written_in(file: Path) -> dict[str, Any]:
    """The keys of a group's file, those of the file that it builds on included."""
    written = yaml.safe_load(file.read_text(encoding="utf-8"))
    others = [entry for entry in written.pop("defaults", []) if entry != "_self_"]
    return dict(ChainMap(written, *(written_in(file.with_name(f"{other}.yaml")) for other in others)))


@pytest.fixture(scope="module")
def reads() -> set[tuple[str, str]]:
    """Every (class, field) that some module outside `config/` reads."""
    inside: list[str] = []
    outside: list[str] = []
    for file in sorted(PACKAGE.rglob("*.py")):
        (inside if file.parent.name == "config" else outside).append(file.read_text(encoding="utf-8"))
    return fields_read(outside, classes=inside)


@pytest.mark.parametrize(("name", "group", "knob"), KNOBS, ids=[f"{name}.{knob}" for name, _, knob in KNOBS])
def test_every_knob_is_read_by_something(reads: set[tuple[str, str]], name: str, group: type, knob: str) -> None:
    assert (group.__name__, knob) in reads, f"{name}.{knob} is configured and nothing outside config/ reads it"


DECLARED = """
class Inner:
    seed: int
    rate: float
class Outer:
    inner: Inner
    named: Annotated[dict[str, Inner], 1]
"""


@pytest.mark.parametrize(
    "body",
    [
        "def f(x: Inner): return x.seed",
        "def f(x: Outer): return x.inner.seed",
        "def f(x: Outer | None): return x.inner.seed",
        'def f(x: "Outer"): return x.inner.seed',
        "def f(x: Outer):\n  a, b = 1, x.inner\n  return b.seed",
        "def f(x: Outer): return [i.seed for i in x.named.values()]",
        "def f(x: Outer):\n  for name, i in x.named.items(): print(i.seed)",
        "def f(x: Outer): return x.named['a'].seed",
        "class A:\n  def __init__(self, x: Outer):\n    self._y, self._x = 1, x.inner\n  def g(self): return self._x.seed",
        "def g() -> Outer: ...\ndef f(): return g().inner.seed",
        "def g() -> Outer: ...\ndef f():\n  x = g()\n  return lambda: x.inner.seed",
    ],
)
def test_a_read_counts_however_the_name_came_by_its_type(body: str) -> None:
    assert ("Inner", "seed") in fields_read([body], classes=[DECLARED])


@pytest.mark.parametrize(
    "body",
    [
        "def f(job): return job.seed",
        "def f(x: Outer): return x.seed",
        "def f(x: Inner): x.seed = 1",
        "def f(x: Inner): return x.rate",
        "def f(x: Inner): return 'seed'",
        "def f(x: Inner):\n  def g(x): return x.seed\n  return g",
        "def f(x: Inner): return asdict(x)",
    ],
)
def test_a_read_of_something_else_does_not_count(body: str) -> None:
    assert ("Inner", "seed") not in fields_read([body], classes=[DECLARED])


@pytest.mark.parametrize(("name", "file"), CHOICES, ids=[f"{name}/{file.stem}" for name, file in CHOICES])
def test_a_group_file_has_exactly_the_keys_of_its_class(name: str, file: Path) -> None:
    assert sorted(written_in(file)) == sorted(field.name for field in fields(GROUPS[name]))


def test_every_group_has_a_file_and_every_folder_is_a_group() -> None:
    folders = {path.name for path in CONF.iterdir() if path.is_dir()}
    assert folders == {*GROUPS, "experiment"} - {"sources"}
    assert {name for name, _ in CHOICES} == set(GROUPS) - {"sources"}


def test_the_first_page_lists_every_group_and_nothing_else() -> None:
    page = yaml.safe_load((CONF / "config.yaml").read_text(encoding="utf-8"))
    chosen = {key: choice for entry in page.pop("defaults") if isinstance(entry, dict) for key, choice in entry.items()}
    assert set(chosen) == {*GROUPS, "experiment"} - {"sources"}
    assert [key for key, choice in chosen.items() if choice is not None and not (CONF / key / f"{choice}.yaml").is_file()] == []
    assert page == {"sources": {}}


@pytest.mark.parametrize(("name", "file"), CHOICES, ids=[f"{name}/{file.stem}" for name, file in CHOICES])
def test_every_choice_of_a_group_makes_a_valid_configuration(name: str, file: Path) -> None:
    words = ["run.name=a", "model.path=/m", "mixture.total_tokens=100000", "sources.spec={role:spec,paths:[/a.md]}"]
    written = written_in(file)
    missing = ["training.learning_rate=1e-4"] if written.get("learning_rate") == "???" else []
    config = load_config([f"{name}={file.stem}", *words, *missing])
    chosen = load_sweep([f"{name}={file.stem}", *words])[1] if name == "sweep" else getattr(config, name)
    given = {key: value for key, value in written.items() if isinstance(value, (bool, float, str)) and value != "???" and key != "dir"}
    assert {key: getattr(chosen, key) for key in given} == given


@pytest.mark.parametrize("file", sorted((CONF / "experiment").glob("*.yaml")), ids=lambda file: str(file.stem))
def test_an_experiment_that_ships_makes_a_valid_configuration(file: Path) -> None:
    config = load_config([f"experiment={file.stem}"])
    assert config.run.name == file.stem
