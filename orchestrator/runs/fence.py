"""Which attempt may write to a run: the one whose token is in it. It counts where a lock is not seen, as on most shared file systems."""

import secrets
import socket
from dataclasses import dataclass

from orchestrator.runs.directory import RunDirectory
from orchestrator.runs.records import read_record, write_record


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    """An attempt, as the run directory knows it.

    Attributes:
        attempt: its number. Two attempts that start at once on two machines can have the same.
        host: where it was started.
        nonce: what no other attempt has.
    """

    attempt: int
    host: str
    nonce: str


def raise_fence(run: RunDirectory, attempt: int) -> Token:
    """Take the run over for an attempt: every older one stops at its next step and commits nothing more.

    Raises:
        OSError: it cannot be written.
    """
    token = Token(attempt=attempt, host=socket.gethostname(), nonce=secrets.token_hex(16))
    write_record(run.fence, token)
    return token


def newest_token(run: RunDirectory) -> Token | None:
    """The token of the attempt that holds the run; none when it cannot be read now, which says nothing about who does."""
    try:
        return read_record(run.fence, Token)
    except (OSError, ValueError):
        return None


def still_ours(run: RunDirectory, token: Token) -> bool:
    """Whether no other attempt has taken the run over. Look at it before anything is committed."""
    return newest_token(run) in (token, None)
