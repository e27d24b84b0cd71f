import pytest

from orchestrator.errors import ConfigError
from orchestrator.platforms.kubernetes.checks import check_mounted, check_settings
from tests.platforms.kubernetes.making import make_job, settings_of

CLAIMS = "claims={/runs: runs}"


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["grace_seconds=60"], r"launch.grace_seconds=60 is less than .*grace_seconds=120 .* Set it to 150 or more"),
        (["time_limit='0-00:02:00'"], r"launch.time_limit=0-00:02:00 is over before .*launch.grace_seconds=180"),
        (["cpus_per_node='1'"], r"launch.cpus_per_node=1 is less than one for each of the 2 ranks"),
        (["shm=64Mi"], r"launch.shm=64Mi is less than the 256Mi"),
        (["topology=rack"], r"launch.topology=rack is for Kueue"),
        (["claims={}"], r"run.dir=/runs/mine is below no claim .*: launch.claims={}"),
        (
            ["claims={/data: data}"],
            r"is below no claim that pods mount: launch.claims=/data\. .*launch.claims={/runs: NAME}",
        ),
    ],
)
def test_settings_that_cannot_work_are_refused_with_the_remedy(overrides: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_settings(make_job(settings_of(CLAIMS, *overrides)))


def test_settings_that_can_work_are_not_refused() -> None:
    check_settings(make_job(settings_of(CLAIMS)))


def test_a_claim_beside_a_directory_of_a_longer_name_does_not_hold_it() -> None:
    with pytest.raises(ConfigError, match=r"run.dir=/runs2/mine is below no claim"):
        check_mounted([("run.dir", "/runs2/mine")], {"/runs": "runs"})


def test_shards_that_pods_do_not_see_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"shards.dir=/elsewhere is below no claim"):
        check_settings(make_job(settings_of(CLAIMS), paths=(("run.dir", "/runs/mine"), ("shards.dir", "/elsewhere"))))


def test_a_time_limit_before_the_first_checkpoint_is_refused() -> None:
    settings = settings_of(CLAIMS, "time_limit='0-01:00:00'")
    check_settings(make_job(settings, first_checkpoint_seconds=3_000))
    with pytest.raises(ConfigError, match=r"launch.time_limit=0-01:00:00 is over before .* 3,600 s .* Set it to more than 3,780 s"):
        check_settings(make_job(settings, first_checkpoint_seconds=3_600))
