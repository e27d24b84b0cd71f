"""Which trials belong together."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.frontier.settings import find_lines, group_trials, in_order, is_of_one_length, key_of, num_shares
from orchestrator.frontier.trials import TrialResult
from tests.frontier.hand_made import LAW, SHARE, TOKENS, UNIQUE, at, sweeps, trial

HERE = at(0.1, 0.0)


def control_ids(trials: list[TrialResult]) -> dict[str, str]:
    ordered = in_order(trials)
    return {ordered[number].trial_id: ordered[control].trial_id for group in group_trials(ordered) for number, control in group.controls}


@LAW
@given(sweeps(), st.randoms())
def test_the_order_in_which_trials_finished_does_not_matter(trials: list[TrialResult], random: st.DataObject) -> None:
    shuffled = list(trials)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert [t.trial_id for t in in_order(shuffled)] == [t.trial_id for t in in_order(trials)]


def test_trials_of_a_setting_are_one_group_whatever_their_seed_and_the_order_of_its_keys() -> None:
    groups = group_trials(in_order([trial({SHARE: 0.1, "a": 1}, HERE, seed=5), trial({"a": 1, SHARE: 0.1}, HERE, seed=2)]))
    assert [group.members for group in groups] == [(0, 1)]


def test_controls_come_first_and_then_the_spec_by_its_share() -> None:
    trials = [trial({SHARE: 0.2}, HERE), trial({SHARE: 0.05}, HERE), trial({}, HERE, arm="control")]
    assert [group.spec_share for group in group_trials(in_order(trials))] == [0.0, 0.05, 0.2]


def test_a_control_has_the_tokens_the_seed_and_every_value_that_it_names() -> None:
    spec = trial({SHARE: 0.1, "lr": 0.1, UNIQUE: 1000}, HERE, seed=3)
    fits = trial({"lr": 0.1}, HERE, seed=3, arm="control")
    others = [
        trial({"lr": 0.1}, HERE, seed=4, arm="control"),
        trial({"lr": 0.2}, HERE, seed=3, arm="control"),
        trial({"lr": 0.1}, HERE, seed=3, arm="control", total_tokens=2_000_000),
    ]
    assert control_ids([spec, fits, *others]) == {spec.trial_id: fits.trial_id}
    assert control_ids([spec, *others]) == {}


def test_of_several_controls_the_one_that_says_most_is_taken() -> None:
    spec = trial({SHARE: 0.1, "lr": 0.1}, HERE)
    fits = trial({"lr": 0.1}, HERE, arm="control")
    assert control_ids([spec, trial({}, HERE, arm="control"), fits]) == {spec.trial_id: fits.trial_id}


def test_a_line_has_all_shares_of_the_same_other_values_and_their_control() -> None:
    short = [trial({SHARE: share, TOKENS: 1}, HERE) for share in (0.1, 0.2)]
    long = [trial({SHARE: share, TOKENS: 2}, HERE, total_tokens=2) for share in (0.4, 0.1, 0.2)]
    controls = [trial({TOKENS: 2}, HERE, arm="control", total_tokens=2), trial({TOKENS: 1}, HERE, arm="control")]
    lines = find_lines(group_trials(in_order([*short, *long, *controls, trial({SHARE: 0.1, TOKENS: 3}, HERE)])))
    assert [[group.spec_share for group in line] for line in lines] == [[0.0, 0.1, 0.2, 0.4], [0.0, 0.1, 0.2]]
    assert [num_shares(line) for line in lines] == [4, 3]
    assert {group.setting[TOKENS] for group in lines[0]} == {2}


def test_epochs_that_move_the_share_of_a_held_total_make_a_line() -> None:
    moved = [replace(trial({"sweep.spec_epochs": epochs}, HERE), spec_share=epochs / 10) for epochs in (1.0, 2.0, 4.0)]
    (line,) = find_lines(group_trials(in_order([*moved, trial({}, HERE, arm="control")])))
    assert [group.spec_share for group in line] == [0.0, 0.1, 0.2, 0.4]


def test_shares_of_different_lengths_are_a_line_without_controls() -> None:
    lengths = {0.1: 2_000_000, 0.2: 1_000_000, 0.4: 500_000}
    trials = [trial({SHARE: share}, HERE, total_tokens=tokens) for share, tokens in lengths.items()]
    controls = [trial({}, HERE, arm="control", total_tokens=tokens) for tokens in lengths.values()]
    (line,) = find_lines(group_trials(in_order([*trials, *controls])))
    assert [(group.arm, group.spec_share) for group in line] == [("spec", 0.1), ("spec", 0.2), ("spec", 0.4)]
    assert not is_of_one_length(line)


def test_lengths_that_rounding_to_whole_steps_sets_apart_are_the_same() -> None:
    trials = [trial({SHARE: share}, HERE, total_tokens=tokens) for share, tokens in ((0.1, 1_000_000), (0.2, 1_004_000))]
    (line,) = find_lines(group_trials(in_order([*trials, trial({}, HERE, arm="control")])))
    assert [group.spec_share for group in line] == [0.0, 0.1, 0.2]
    assert is_of_one_length(line)


def test_controls_of_two_lengths_are_two_settings() -> None:
    controls = [trial({}, HERE, seed=seed, arm="control", total_tokens=tokens) for tokens in (1, 2) for seed in (0, 1)]
    assert [(group.total_tokens, len(group.members)) for group in group_trials(in_order(controls))] == [(1, 2), (2, 2)]


def test_keys_below_a_name_are_left_out_with_it_and_longer_names_are_not() -> None:
    setting = {"mixture.unique_tokens.spec": 1, "mixture.unique_tokens": 2, "mixture.unique_tokens_too": 3}
    assert key_of(setting, "mixture.unique_tokens") == (("mixture.unique_tokens_too", 3),)
