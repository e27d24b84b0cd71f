"""What the doctor's job is given of a profile."""

from orchestrator.commands.examining import for_looking
from orchestrator.platforms.profiles import load_settings
from orchestrator.platforms.settings import Settings, clock_of, seconds_of
from tests.platforms.kubernetes.making import settings_of


def values(settings: Settings, *names: str) -> list[object]:
    return [getattr(settings, name) for name in names]


def test_the_doctors_job_is_short_waits_for_no_run_and_is_not_started_again() -> None:
    slurm = for_looking(load_settings("slurm", ["after=[/runs/first]", "time_limit='7-00:00:00'", "environment={A: b}"])[1])
    assert values(slurm, "time_limit", "after", "max_restarts", "max_resubmissions") == ["0-00:40:00", (), 0, 0]
    assert slurm.environment == {"A": "b", "MIDTRAIN_DOCTOR": "1"}
    assert values(for_looking(load_settings("slurm", ["time_limit='0:20:00'"])[1]), "time_limit") == ["0-00:20:00"]
    kubernetes = for_looking(settings_of("time_limit='1-00:00:00'"))
    assert values(kubernetes, "time_limit", "max_retries", "max_resubmissions") == ["0-00:30:00", 0, 0]
    assert values(for_looking(settings_of()), "time_limit") == [None]


def test_a_time_is_written_as_it_is_read() -> None:
    assert [seconds_of(clock_of(seconds)) for seconds in (1, 59, 3600, 90_061)] == [1, 59, 3600, 90_061]
