"""What a request can do wrong, as HTTP sees it. Must know neither the protocol that the answer speaks nor the model."""

from __future__ import annotations


class RequestError(Exception):
    """The caller's fault (4xx): ``status`` and a sentence that says what is wrong and where."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class ModelError(Exception):
    """The model's fault (500): it raised an error on input that its schema allows."""


class NotLoaded(Exception):
    """No model is loaded yet (503)."""


def brief(error: BaseException, limit: int = 600) -> str:
    """One line that names an exception, cut at ``limit`` characters."""
    text = " ".join(str(error).split())
    text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return text if len(text) <= limit else text[: limit - 1] + "…"
