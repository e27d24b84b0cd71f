"""What a run is called on Kubernetes. Pure."""

import hashlib
import re

LONGEST_NAME = 47  # characters; KubeRay makes longer names of it
_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_HASH_CHARACTERS = 6


def is_rayjob_name(name: str) -> bool:
    """Whether KubeRay takes it: a DNS-1035 label that is not too long."""
    return len(name) <= LONGEST_NAME and _DNS_1035.fullmatch(name) is not None


def rayjob_name(run_name: str, number: int) -> str:
    """The RayJob of a submission: `<run>-<number>`, with a hash of the run's name where that cannot stand as it is.

    Args:
        run_name: any text.
        number: of the submission, from 1.
    """
    plain = f"{run_name}-{number}"
    if is_rayjob_name(plain):
        return plain
    end = f"-{_hash(run_name)}-{number}"
    slug = re.sub(r"[^a-z0-9]+", "-", run_name.lower()).strip("-")
    slug = slug if slug[:1].isalpha() else f"run-{slug}"
    return slug[: LONGEST_NAME - len(end)].strip("-") + end


def label_value(text: str) -> str:
    """A label that stands for a text: the text, or what is left of it and its hash where that cannot be one."""
    if _LABEL.fullmatch(text):
        return text
    slug = re.sub(r"[^-A-Za-z0-9_.]+", "-", text).strip("-_.")
    return f"{slug[:40]}-{_hash(text)}".lstrip("-_.")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_CHARACTERS]
