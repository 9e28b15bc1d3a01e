"""Answers of the emulator itself: errors in the form of each protocol."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from .calls import Call

NOT_IMPLEMENTED: Final = "EmulatorNotImplemented"
"""The code of what this emulator cannot do. With status 501, which botocore does not try again."""
BROKEN: Final = "EmulatorBroken"
"""The code of a mistake in the emulator or in moto; 501 as well, so that it is seen at once."""


@dataclass(slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """The value of a header, or nothing."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


def error(call: Call, code: str, message: str, status: int) -> Answer:
    """An error as the service of the call would send it."""
    more: list[tuple[str, str]] = []
    told = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    match call.protocol:
        case "query":
            who = "Sender" if status < 500 else "Receiver"
            kind, body = "text/xml", f"<ErrorResponse><Error><Type>{who}</Type>{told}</Error></ErrorResponse>".encode()
        case "ec2":
            kind, body = "text/xml", f"<Response><Errors><Error>{told}</Error></Errors></Response>".encode()
        case "rest-xml":
            kind, body = "application/xml", f"<Error>{told}</Error>".encode()
        case "smithy-rpc-v2-cbor":
            kind, body = "application/cbor", _cbor({"__type": code, "message": message})
            more.append(("smithy-protocol", "rpc-v2-cbor"))
        case _:
            kind, body = "application/x-amz-json-1.1", json.dumps({"__type": code, "message": message}).encode()
            more.append(("x-amzn-ErrorType", code))
    return Answer(status, [("Content-Type", kind), ("Content-Length", str(len(body))), *more], body)


def _cbor(texts: dict[str, str]) -> bytes:
    """A map of texts in CBOR (RFC 8949)."""
    parts = [bytes([0xA0 | len(texts)])]
    for text in (part for pair in texts.items() for part in pair):
        raw = text.encode()
        parts.append(b"\x79" + len(raw).to_bytes(2, "big") + raw)
    return b"".join(parts)
