"""What findings say together, and what a command ends with."""

import pytest

from orchestrator.doctor.findings import Finding, Report, Verdict, at_least, at_most, finding, refuse_bad
from orchestrator.errors import ConfigError, InfrastructureError


def found(check: str, verdict: Verdict) -> Finding:
    return finding(check, "node-1", verdict, "3 apples", limit="4 apples", remedy="Buy one.")


@pytest.mark.parametrize(("value", "verdict"), [(10, "good"), (9.9, "warning"), (5, "warning"), (4.9, "bad")])
def test_of_what_more_is_better_too_little_is_bad(value: float, verdict: str) -> None:
    assert at_least(value, enough=10, too_little=5) == verdict


@pytest.mark.parametrize(("value", "verdict"), [(1, "good"), (1.1, "warning"), (5, "warning"), (5.1, "bad")])
def test_of_what_less_is_better_too_much_is_bad(value: float, verdict: str) -> None:
    assert at_most(value, enough=1, too_much=5) == verdict


def test_what_is_good_has_no_remedy() -> None:
    assert found("ports", "good").remedy == ""
    assert found("ports", "warning").remedy == "Buy one."


def test_warnings_let_a_command_go_on() -> None:
    findings = [found("ports", "good"), found("clock", "warning")]
    refuse_bad(findings)
    assert Report(seconds=1.0, findings=findings).is_good


@pytest.mark.parametrize(
    ("check", "kind"),
    [("/dev/shm", InfrastructureError), ("shared storage", InfrastructureError), ("model", ConfigError), ("source 'spec'", ConfigError)],
)
def test_the_first_that_is_bad_is_the_commands_error_with_what_value_limit_and_remedy(check: str, kind: type[Exception]) -> None:
    findings = [found("clock", "warning"), found(check, "bad"), found("ports", "bad")]
    assert not Report(seconds=1.0, findings=findings).is_good
    with pytest.raises(kind) as caught:
        refuse_bad(findings)
    assert str(caught.value) == f"{check} on node-1: 3 apples; the limit is 4 apples. Buy one. (1 more above)"
