"""What is submitted to a real API server, and never gets there."""

from pathlib import Path

import pytest

from orchestrator.errors import ConfigError
from orchestrator.platforms.kubernetes.client import Api
from orchestrator.platforms.kubernetes.platform import MANIFEST, Kubernetes
from orchestrator.platforms.kubernetes.rules import broken_rules
from tests.platforms.kubernetes.broken import AGAINST_THE_SCHEMA, BROKEN, broken_text
from tests.platforms.kubernetes.making import SMALL, WITHOUT_RAY, make_job, manifest_of, settings_of

pytestmark = pytest.mark.clusters


@pytest.mark.parametrize("case", sorted(BROKEN))
def test_a_broken_manifest_is_refused_before_there_is_a_rayjob(case: str, api: Api, namespace: str, file: Path) -> None:
    settings = settings_of("claims={/runs: runs}", f"namespace={namespace}", WITHOUT_RAY, *SMALL)
    job, kubernetes = make_job(settings, name=case, ranks=4, gpus=1), Kubernetes(settings, api)
    file.write_text(broken_text(case, manifest_of(job)))
    with pytest.raises(ConfigError):
        kubernetes.submit(job, file)
    assert kubernetes.find(job.key) is None


@pytest.mark.parametrize("case", sorted(AGAINST_THE_SCHEMA))
def test_what_only_a_server_knows_is_not_refused_by_the_rules(case: str) -> None:
    manifest = manifest_of(make_job(settings_of("claims={/runs: runs}", *SMALL)))
    AGAINST_THE_SCHEMA[case](manifest)
    assert broken_rules(manifest) == []


def test_a_key_that_stands_there_twice_is_refused(api: Api, namespace: str, file: Path) -> None:
    settings = settings_of("claims={/runs: runs}", f"namespace={namespace}", WITHOUT_RAY, *SMALL)
    job, kubernetes = make_job(settings), Kubernetes(settings, api)
    file.write_text(kubernetes.render(job)[MANIFEST].replace("  backoffLimit: 3", "  backoffLimit: 3\n  backoffLimit: 0"))
    with pytest.raises(ConfigError, match="'backoffLimit' stands there twice"):
        kubernetes.submit(job, file)
    assert kubernetes.find(job.key) is None


def test_a_manifest_that_could_not_be_found_again_is_refused(api: Api, namespace: str, file: Path) -> None:
    settings = settings_of("claims={/runs: runs}", f"namespace={namespace}", *SMALL)
    job, kubernetes = make_job(settings), Kubernetes(settings, api)
    file.write_text(kubernetes.render(make_job(settings, key="another"))[MANIFEST])
    with pytest.raises(ConfigError, match="could not be found again"):
        kubernetes.submit(job, file)
    assert kubernetes.find(job.key) is None


def test_an_unknown_field_is_named_by_its_place(api: Api, namespace: str, file: Path) -> None:
    settings = settings_of("claims={/runs: runs}", f"namespace={namespace}", *SMALL)
    job = make_job(settings)
    file.write_text(broken_text("an unknown field of a container", manifest_of(job)))
    with pytest.raises(ConfigError, match=r"spec.rayClusterSpec.workerGroupSpecs\[0\].template.spec.containers\[0\].imagePullPolcy"):
        Kubernetes(settings, api).submit(job, file)
