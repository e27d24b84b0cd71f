"""The platform: what is asked of an API server when a job is checked, submitted, looked at and cancelled."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.errors import ConfigError, OrchestratorError
from orchestrator.platforms.job import Job, JobState
from orchestrator.platforms.kubernetes.checks import check_cluster, check_settings
from orchestrator.platforms.kubernetes.client import Api, RefusedError, Thing
from orchestrator.platforms.kubernetes.manifest import KEY_LABEL, RUN_ANNOTATION, USER_OF_IMAGE, rayjob_manifest
from orchestrator.platforms.kubernetes.names import label_value, rayjob_name
from orchestrator.platforms.kubernetes.parsing import at, parse_manifest
from orchestrator.platforms.kubernetes.rules import broken_rules
from orchestrator.platforms.kubernetes.schema import check_with_server, rayjobs_path
from orchestrator.platforms.kubernetes.state import job_state
from orchestrator.platforms.settings import KubernetesSettings
from orchestrator.platforms.templates import kept_template

MANIFEST = "rayjob.yaml"
_MOST_MESSAGES = 5


class Kubernetes:
    """A namespace of the cluster that a kubeconfig leads to. A job's id is the name of its RayJob.

    Args:
        settings: of the platform.
        api: none: the one of the settings' context.
    """

    has_arrays = False

    def __init__(self, settings: KubernetesSettings, api: Api | None = None) -> None:
        self._namespace = settings.namespace
        self._api = api or Api(settings.context)

    def check_settings(self, job: Job) -> None:
        check_settings(job)
        _well_formed(self.render(job)[MANIFEST])

    def check(self, job: Job) -> None:
        check_cluster(self._api, job)
        if self._standing(job) is None:
            check_with_server(self._api, self._namespace, _well_formed(self.render(job)[MANIFEST]))

    def render(self, job: Job) -> dict[str, str]:
        return {MANIFEST: rayjob_manifest(job)}

    def submit(self, job: Job, file: Path) -> str:
        manifest = _well_formed(file.read_text(encoding="utf-8"))
        name, key = str(at(manifest, "metadata", "name")), at(manifest, "metadata", "labels", KEY_LABEL)
        if key != label_value(job.key) or name != rayjob_name(job.name, job.number):
            raise ConfigError(
                f"{file} has another name or {KEY_LABEL} than submission {job.number} of {job.name}, which could not be found again. Have "
                f"launch.template={job.settings.template} take both from midtrain."
            )
        if self._standing(job) is not None:
            return name
        check_with_server(self._api, self._namespace, manifest)
        try:
            self._api.create(rayjobs_path(self._namespace), manifest, fieldValidation="Strict")
        except RefusedError as refusal:  # it was made by a try that was not answered
            if refusal.status != 409 or self._standing(job) is None:
                raise
        return name

    def own(self, job: Job) -> None:
        """Give a directory that root has made to the user that the pods run as. What is another's stays so."""
        for run in job.runs:
            if run.root.stat().st_uid == 0:
                for path in (*run.root.rglob("*"), run.root):
                    _give_away(path)

    def find(self, key: str) -> str | None:
        found = self._api.items(rayjobs_path(self._namespace), labelSelector=f"{KEY_LABEL}={label_value(key)}")
        return str(at(found[0], "metadata", "name")) if found else None

    def look(self, jobs: Mapping[str, str]) -> dict[str, JobState]:
        try:
            return self._look(jobs)
        except OrchestratorError as error:
            return dict.fromkeys(jobs, JobState(phase="unknown", why=str(error)))

    def cancel(self, job: str, key: str) -> None:
        found = self._api.get(f"{rayjobs_path(self._namespace)}/{job}")
        if found is not None and at(found, "metadata", "labels", KEY_LABEL) == label_value(key):
            # In the foreground: it is there until its pods have saved and are gone.
            self._api.delete(f"{rayjobs_path(self._namespace)}/{job}", "Foreground")

    def kept(self, settings: KubernetesSettings) -> KubernetesSettings:
        """With the context that the kubeconfig names today, and the template's own place."""
        return replace(settings, context=self._api.context, template=kept_template(settings.template))

    def _look(self, jobs: Mapping[str, str]) -> dict[str, JobState]:
        core = f"/api/v1/namespaces/{self._namespace}"
        found = {str(at(rayjob, "metadata", "name")): rayjob for rayjob in self._api.items(rayjobs_path(self._namespace))}
        keys = {job: label_value(key) for job, key in jobs.items()}
        rayjobs = {job: found[job] for job in jobs if job in found and at(found[job], "metadata", "labels", KEY_LABEL) == keys[job]}
        pods = self._api.items(f"{core}/pods", labelSelector=KEY_LABEL)
        events = self._api.items(f"{core}/events", fieldSelector="type=Warning")
        waiting = any(at(rayjobs.get(job), "spec", "suspend") for job in jobs)
        workloads = self._workloads() if waiting else []
        gone = JobState(phase="gone", why=f"namespace {self._namespace} has no RayJob of this name any more")
        return {job: job_state(rayjobs[job], pods, events, workloads) if job in rayjobs else gone for job in jobs}

    def _workloads(self) -> list[Thing]:
        """Kueue's; none where there is no Kueue, or it may not be asked."""
        try:
            version = at(self._api.get("/apis/kueue.x-k8s.io"), "preferredVersion", "version")
            return self._api.items(f"/apis/kueue.x-k8s.io/{version}/namespaces/{self._namespace}/workloads") if version else []
        except RefusedError:
            return []

    def _standing(self, job: Job) -> Thing | None:
        """The job's RayJob, if it is there.

        Raises:
            ConfigError: one of the same name is another's.
        """
        name = rayjob_name(job.name, job.number)
        found = self._api.get(f"{rayjobs_path(self._namespace)}/{name}")
        if found is not None and at(found, "metadata", "labels", KEY_LABEL) != label_value(job.key):
            whose = at(found, "metadata", "annotations", RUN_ANNOTATION) or "unknown"
            raise ConfigError(
                f"namespace {self._namespace} has a RayJob {name} already, of run directory {whose}. Set run.name to another, or if that "
                f"one is not needed any more: kubectl delete rayjob -n {self._namespace} {name}."
            )
        return found


def _give_away(path: Path) -> None:
    try:
        os.chown(path, USER_OF_IMAGE, USER_OF_IMAGE, follow_symlinks=False)
    except OSError as failure:
        raise ConfigError(
            f"{path} cannot be given to user {USER_OF_IMAGE}, as which pods run when root launches: {failure.strerror}. Launch as another "
            f"user than root."
        ) from None


def _well_formed(text: str) -> dict[str, Any]:
    manifest = parse_manifest(text)
    if broken := broken_rules(manifest):
        more = f" And {len(broken) - _MOST_MESSAGES} more." if len(broken) > _MOST_MESSAGES else ""
        lines = "\n".join(f"{message}." for message in broken[:_MOST_MESSAGES])
        raise ConfigError(f"the RayJob would not work:\n{lines}{more}\nPut launch.template or the launch.* keys that are named right.")
    return manifest
