"""GPUs, in tables: what is missing, taken, or of another kind."""

from pathlib import Path

import pytest

from orchestrator.doctor.gpus import Gpu, count_devices, judge_gpus

H100 = Gpu(name="H100", memory_bytes=80 << 30, free_bytes=79 << 30)
TAKEN = Gpu(name="H100", memory_bytes=80 << 30, free_bytes=40 << 30)
A100 = Gpu(name="A100", memory_bytes=40 << 30, free_bytes=40 << 30)


@pytest.mark.parametrize(
    ("gpus", "expected"),
    [
        ([H100, H100], {}),
        ([H100], {"GPUs": "bad"}),
        ([], {"GPUs": "bad"}),
        ([H100, TAKEN], {"GPUs": "warning"}),
        ([H100, A100], {"kinds of GPU": "warning"}),
    ],
    ids=["as many as ranks", "one is missing", "none", "one is taken by someone else", "of two kinds"],
)
def test_a_node_has_a_free_gpu_of_one_kind_for_each_rank(gpus: list[Gpu], expected: dict[str, str]) -> None:
    found = judge_gpus({"node-1": gpus}, {"node-1": 2})
    assert {finding.check: finding.verdict for finding in found if finding.verdict != "good"} == expected


@pytest.mark.parametrize(("visible", "count"), [(None, 3), ("0,2", 2), ("", 0), ("0,1,2,3,4", 3)])
def test_devices_are_counted_by_their_files_and_by_what_is_visible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str | None, count: int
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for name in ("nvidia0", "nvidia1", "nvidia2", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert count_devices(tmp_path, visible) == count
