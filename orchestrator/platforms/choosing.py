"""Which platform a name stands for. Each is imported when it is asked for."""

from orchestrator.errors import ConfigError
from orchestrator.platforms.job import Platform
from orchestrator.platforms.settings import KINDS, KubernetesSettings, Settings


def platform_named(name: str, settings: Settings) -> Platform:
    """The platform of some settings.

    Raises:
        ConfigError: there is none of this name.
    """
    if name == "local":
        from orchestrator.platforms.local import Local

        return Local()
    if name == "slurm":
        from orchestrator.platforms.slurm import Slurm

        return Slurm()
    if name == "kubernetes":
        from orchestrator.platforms.kubernetes.platform import Kubernetes

        assert isinstance(settings, KubernetesSettings)
        return Kubernetes(settings)
    raise ConfigError(f"{name} is no platform. Platforms: {', '.join(KINDS)}.")
