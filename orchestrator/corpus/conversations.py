"""Conversations: a record's list of messages as a document, whose text is the canonical JSON of them."""

import json
from dataclasses import replace
from typing import Any

from orchestrator.corpus.documents import Document, Reject, judge

Messages = list[dict[str, str]]


def judge_messages(file: str, place: int | None, value: Any) -> Document | Reject:
    """A document of a list of messages, if it is one that has something to train on.

    Args:
        file, place: those of the document.
        value: what the record holds.
    """
    if reason := _flaw(value):
        return Reject(file, place, reason)
    messages = [{"role": message["role"], "content": message["content"]} for message in value]
    judged = judge(file, place, json.dumps(messages, ensure_ascii=False, separators=(",", ":")))
    return replace(judged, is_conversation=True) if isinstance(judged, Document) else judged


def messages_of(document: Document) -> Messages:
    """The messages of a document that `judge_messages` made."""
    messages: Messages = json.loads(document.text)
    return messages


def searched_text(document: Document) -> str:
    """What is said in a document, message by message in lines of their own: in JSON a line break is no line break."""
    return "\n".join(message["content"] for message in messages_of(document)) if document.is_conversation else document.text


def _flaw(value: Any) -> str | None:
    if not isinstance(value, list) or not value:
        return f"the messages are {'an empty list' if value == [] else f'a {type(value).__name__}, not a list'}"
    for number, message in enumerate(value, 1):
        if flaw := _message_flaw(message):
            return f"message {number} {flaw}"
    return None if any(message["role"] == "assistant" for message in value) else "no message is the assistant's"


def _message_flaw(message: Any) -> str | None:
    if not isinstance(message, dict) or not all(isinstance(message.get(key), str) for key in ("role", "content")):
        return "is not a role and a content, both strings"
    if others := [key for key in message if key not in ("role", "content") and message[key] is not None]:
        return f"has a field {others[0]!r}, which is not known here"
    if message["role"] == "assistant" and not message["content"].strip():
        return "is the assistant's and empty"
    return None
