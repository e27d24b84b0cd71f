"""Values of the configuration, with their limits."""

from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def _no_url(path: str) -> str:
    if "://" in path:
        raise ValueError(f"{path} is a URL, and what is written goes to directories. Give one on a file system that every node sees.")
    return path


def _only_url(url: str) -> str:
    if "://" not in url:
        raise ValueError(f"{url} is not a URL. Write one such as s3://bucket/runs/mine, or file:///path for a directory.")
    return url.rstrip("/")


Url = Annotated[str, AfterValidator(_only_url)]
Folder = Annotated[str, AfterValidator(_no_url)]
Count = Annotated[int, Field(ge=1)]
CountOrNone = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Paths = tuple[str, ...]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
