"""From a configuration and prepared sources to a plan, without spending anything."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from orchestrator.commands.console import Console
from orchestrator.commands.planning import mixture_request, plan_run, show_plan
from orchestrator.config.load import dump_config, load_config, read_config
from orchestrator.errors import ConfigError, DataError, MixtureError
from orchestrator.mixture.summary import summarise
from tests.commands.command_line import midtrain
from tests.commands.listing import listing
from tests.support.prepared import prepare_sources, write_prepared
from tests.support.tiny import overrides, write_everything


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planning")
    write_prepared(folder)
    return folder


def test_the_plan_trains_what_was_asked_for(home: Path) -> None:
    plan = plan_run(load_config(overrides(home)))
    assert (plan.steps, plan.tokens) == (10, 1280)
    assert [(source.name, source.role) for source in plan.sources] == [("spec", "spec"), ("code", "general"), ("docs", "general")]
    assert plan.sequences == [10, 10, 20]


def test_ratios_and_the_dial_that_mean_the_same_make_the_same_counts(home: Path) -> None:
    ratios = overrides(home, **{"mixture.spec_share": "null", "mixture.ratios": "{spec:0.25,code:0.25,docs:0.5}"})
    by_ratio, by_dial = (plan_run(load_config(words)) for words in (ratios, overrides(home)))
    assert by_ratio.fingerprint == by_dial.fingerprint
    assert by_ratio.request != by_dial.request


def test_planning_writes_nothing_and_answers_the_same_again(home: Path) -> None:
    before = listing(home)
    config = load_config(overrides(home))
    assert plan_run(config).fingerprint == plan_run(config).fingerprint
    assert listing(home) == before


def test_a_plan_from_the_resolved_file_is_the_same_wherever_it_is_made(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    config = load_config(overrides(Path()))
    (tmp_path / "config.yaml").write_text(dump_config(config), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert plan_run(read_config(tmp_path / "config.yaml")).fingerprint == plan_run(config).fingerprint


def test_a_source_that_was_prepared_with_another_role_is_refused(home: Path) -> None:
    words = overrides(home, **{"sources.code": f"{{role:spec,paths:[{home}/code.jsonl],heldout_share:0.1}}"})
    with pytest.raises(ConfigError, match="'code' was prepared with role general and is configured as spec"):
        plan_run(load_config(words))


def test_another_separator_is_refused(home: Path) -> None:
    with pytest.raises(ConfigError, match="'spec' was prepared with another tokenizer or document separator"):
        plan_run(load_config(overrides(home, **{"shards.document_separator": "'!'"})))


@pytest.mark.parametrize("changed", ["paths:[{home}/code.jsonl],heldout_share:0.5", "paths:[{home}/docs.jsonl],heldout_share:0.1"])
def test_a_source_that_was_prepared_from_other_files_or_shares_is_not_trained_in_silence(home: Path, changed: str) -> None:
    words = overrides(home, **{"sources.code": f"{{role:general,{changed.format(home=home)}}}"})
    with pytest.raises((ConfigError, DataError), match=r"'code'.*prepare"):
        plan_run(load_config(words))


def test_a_source_with_less_than_a_sequence_is_refused(home: Path) -> None:
    with pytest.raises(DataError, match=r"'spec' has .* heldout tokens.*training\.sequence_length=2048"):
        plan_run(load_config(overrides(home, **{"training.sequence_length": 2048, "mixture.total_tokens": 81920})))


def test_a_remedy_that_names_a_sequence_length_names_one_that_the_configuration_takes(home: Path) -> None:
    source = f"{{role:general,paths:[{home}/code.jsonl],heldout_share:0.0001}}"
    config = load_config(overrides(home, **{"sources.code": source, "shards.dir": home / "few"}))
    prepare_sources(config)
    with pytest.raises(DataError, match="'code' has 0 heldout tokens") as caught:
        plan_run(config)
    lengths = re.findall(r"shorten the sequence to (\d+)", str(caught.value))
    assert [length for length in lengths if int(length) < 8] == []


@pytest.mark.parametrize("key", ["training.warmup_steps", "checkpoints.every_steps", "evaluation.every_steps"])
def test_the_step_count_that_a_message_names_is_one_that_works(home: Path, key: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"{key}=400")) as caught:
        plan_run(load_config(overrides(home, **{key: 400})))
    (remedy,) = re.findall(r"Set it to (\d+)", str(caught.value))
    assert plan_run(load_config(overrides(home, **{key: remedy}))).steps == 10


def test_a_warm_up_given_as_a_share_of_the_run_must_leave_the_peak_a_step_too(home: Path) -> None:
    share = {"training.warmup_steps": "null", "training.warmup_share": 0.91}
    with pytest.raises(ConfigError, match=r"training\.warmup_share=0\.91 is not shorter than the run of 10 steps.*Set it to 0\.05"):
        plan_run(load_config(overrides(home, **share)))
    assert plan_run(load_config(overrides(home, **share | {"training.warmup_share": 0.05}))).steps == 10


def test_a_warm_up_and_a_decay_that_are_longer_than_the_run_are_refused_with_a_share_that_works(home: Path) -> None:
    decaying = {"training.schedule": "warmup_stable_decay", "training.decay_share": 0.85}
    with pytest.raises(ConfigError, match=r"a warm-up of 2 steps and training\.decay_share=0\.85, 9 steps, are longer") as caught:
        plan_run(load_config(overrides(home, **decaying)))
    (remedy,) = re.findall(r"decay_share to ([\d.]+) or less", str(caught.value))
    assert plan_run(load_config(overrides(home, **decaying | {"training.decay_share": remedy}))).steps == 10


@pytest.mark.parametrize("total_tokens", [40_000, 123_456, 1_000_000])
def test_each_of_the_numbers_in_a_mixture_error_works(home: Path, total_tokens: int) -> None:
    words = {"mixture.total_tokens": total_tokens}
    with pytest.raises(MixtureError, match="'spec'") as caught:
        plan_run(load_config(overrides(home, **words, **{"mixture.max_epochs": "{code:1000,docs:1000}"})))
    pattern = r"Lower its ratio to ([\d.e-]+), train ([\d,]+) tokens, or raise the cap to ([\d.]+)\."
    ((ratio, tokens, cap),) = re.findall(pattern, str(caught.value))
    others = "code:1000,docs:1000"
    for remedy in (
        words | {"mixture.spec_share": ratio},
        words | {"mixture.total_tokens": tokens.replace(",", "")},
        words | {"mixture.max_epochs": f"{{spec:{cap},{others}}}"},
    ):
        assert plan_run(load_config(overrides(home, **{"mixture.max_epochs": f"{{{others}}}"} | remedy))).steps > 0


def test_the_command_prints_json_for_scripts_and_changes_nothing(home: Path) -> None:
    before = listing(home)
    ended = midtrain("plan", *overrides(home), "--json", cwd=home)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout) == summarise(plan_run(load_config(overrides(home))))
    assert listing(home) == before


def test_a_source_can_be_cut_to_fewer_unique_tokens_which_a_larger_cut_and_another_seed_use_too(home: Path) -> None:
    used = []
    for tokens, seed in ((640, 0), (640, 1), (960, 2)):
        changes = {"mixture.unique_tokens": f"{{spec:{tokens}}}", "mixture.seed": seed, "mixture.source_epochs": "{spec:1}"}
        plan = plan_run(load_config(overrides(home, **changes, **{"mixture.spec_share": "null", "mixture.total_tokens": 4000})))
        draws = plan.look_up(np.arange(plan.num_sequences))
        used.append(draws.positions[draws.sources == 0].tolist())
        assert len(used[-1]) == tokens / 32
    assert sorted(used[0]) == sorted(used[1])
    assert used[0] != used[1]
    assert set(used[0]) < set(used[2])


def test_a_cut_is_of_the_plan_and_of_what_was_asked_for_and_no_cut_is_what_it_was_before_there_were_any(home: Path) -> None:
    whole, none, cut = (load_config(overrides(home, **{"mixture.unique_tokens": cut})) for cut in ("{}", "{}", "{docs:960}"))
    assert mixture_request(whole) == mixture_request(none) == "20a1048830b21b52f1cb2108b34654d3"
    assert len({mixture_request(whole), mixture_request(cut)}) == len({plan_run(whole).fingerprint, plan_run(cut).fingerprint}) == 2


def test_a_cut_that_is_not_possible_is_refused_with_the_numbers_that_are(home: Path) -> None:
    with pytest.raises(MixtureError, match=r"unique_tokens\.spec=1,000,000 is more than source 'spec' has: ([\d,]+)") as caught:
        plan_run(load_config(overrides(home, **{"mixture.unique_tokens": "{spec:1000000}"})))
    most = re.findall(r"has: ([\d,]+)", str(caught.value))[0].replace(",", "")
    plan = plan_run(load_config(overrides(home, **{"mixture.unique_tokens": f"{{spec:{most}}}"})))
    assert plan.sources[0].epoch.sequences == plan.sources[0].unique_sequences
    with pytest.raises(MixtureError, match=r"unique_tokens\.spec=31 is less than a sequence of source 'spec', .* Raise it to 32"):
        plan_run(load_config(overrides(home, **{"mixture.unique_tokens": "{spec:31}"})))


def test_a_cut_that_nothing_can_be_learned_from_is_refused(tmp_path: Path) -> None:
    """One document of a hundred has more than its masked prefix, and the part of one sequence is not of it."""
    (tmp_path / "masked.jsonl").write_text("".join(json.dumps({"text": "a" * (400 * (i == 50) + 1)}) + "\n" for i in range(100)))
    prefix = "the river " * 20
    source = f"{{role:general,paths:[{tmp_path}/masked.jsonl],masked_prefix:'{prefix}'}}"
    write_everything(tmp_path)
    layout = {"feed.document_attention": True, "shards.packing": "best_fit", "sources.masked": source}
    config = load_config(overrides(tmp_path, **layout, **{"mixture.unique_tokens": "{masked:40}", "mixture.max_epochs": "{masked:99}"}))
    prepare_sources(config)
    with pytest.raises(
        MixtureError, match=r"unique_tokens\.masked: none of the \d+ sequences .* carries a loss\. Raise it, or leave it out"
    ):
        plan_run(config)


def test_the_table_says_how_much_is_used_of_a_source_where_one_is_used_in_part(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for cut, shown in (("{}", False), ("{docs:960}", True)):
        config = load_config(overrides(home, **{"mixture.unique_tokens": cut}))
        plan = plan_run(config)
        show_plan(summarise(plan), config, Console())
        out, _ = capsys.readouterr()
        assert ("unique tokens" in out) == shown
        assert (f"960 of {plan.sources[2].trained_tokens:,}" in out) == shown


def test_people_see_a_row_a_source_and_what_a_step_is(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = load_config(overrides(home))
    show_plan(summarise(plan_run(config)), config, Console())
    out, err = capsys.readouterr()
    assert [
        word
        for word in ("spec", "25.0000%", "1,280 of 1,280 tokens", "gradient accumulation 2", "2 steps of warm-up, cosine")
        if word not in out
    ] == []
    assert err == ""
