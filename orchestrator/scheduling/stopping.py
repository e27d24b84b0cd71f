"""Why ranks end an attempt before its last step: they agree on it, so that all stop at the same one."""

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.scheduling.agreement import Agreement
from orchestrator.scheduling.asked import asked_to_stop
from orchestrator.scheduling.vitals import Vitals

WISHES = ("superseded", "stop", "drained", "resize", "insurance")


@dataclass(frozen=True, slots=True)
class Ending:
    """How the ranks ended an attempt.

    Attributes:
        kind: `done`: at the last step. `paused`: at the step that it was to stop at. `stop`: asked by a signal. `drained`: the cluster
            takes a node away. `resize`: to go on at another world size. `superseded`: by a newer attempt.
        step: the last step made; all but `superseded` have saved it.
        signal: of `stop`: its number.
        by_host: of `superseded`: where the newer attempt was started.
    """

    kind: str
    step: int
    signal: int = 0
    by_host: str = ""


class Stopping:
    """The ranks' decision. All call its methods together.

    Attributes:
        agreed: all that was agreed on at the end of the last step, by name.
    """

    def __init__(self, agreement: Agreement, vitals: Vitals) -> None:
        """
        Args:
            agreement: with the names of `WISHES` among its own.
            vitals: of this rank.
        """
        self._agreement, self._vitals = agreement, vitals
        self._resizes = False
        self.agreed: Mapping[str, int] = {}

    def after_step(self, step: int, *, is_insurance_due: bool) -> Ending | None:
        """Wish for what this rank has learned, and hear what was agreed; a collective, at the end of each step.

        Args:
            step: that was made.
            is_insurance_due: whether this rank wants an insurance save; `agreed` tells whether there is to be one.

        Returns:
            The ending to make now: save, unless it is superseded, and leave. A resize is made with the next checkpoint that is due: see
            `after_save`.
        """
        wishes = self._vitals.beacon.wishes
        self._agreement.wish("stop", max(asked_to_stop(), wishes.get("stop", 0)))
        self._agreement.wish("resize", wishes.get("resize", 0))
        self._agreement.wish("drained", wishes.get("drained", 0))
        self._agreement.wish("superseded", int(self._vitals.superseded_by is not None))
        self._agreement.wish("insurance", int(is_insurance_due))
        self.agreed = agreed = self._agreement.exchange()
        self._resizes = self._resizes or bool(agreed["resize"])
        if agreed["superseded"]:
            newer = self._vitals.superseded_by
            return Ending("superseded", step, by_host=newer.host if newer else "")
        if agreed["stop"]:
            return Ending("stop", step, signal=agreed["stop"])
        return Ending("drained", step) if agreed["drained"] else None

    def after_save(self, step: int) -> Ending | None:
        """The ending to make after a checkpoint that was due."""
        return Ending("resize", step) if self._resizes else None

    def settle(self) -> None:
        """Leave no reduction under way; a collective."""
        self._agreement.settle()
