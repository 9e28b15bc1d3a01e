"""Requests that arrive together are joined, and each still gets its own answer or its own error."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from mlinfra_tools.modelserver.server.batching import Batcher
from mlinfra_tools.modelserver.server.cache import Answers, key


@dataclass(frozen=True)
class Question:
    text: str
    rows: int = 1
    batch_key: str | None = "same columns"


class Oracle:
    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    async def ask(self, question: Question) -> str:
        self.calls.append([question.text])
        if question.text == "bad":
            raise ValueError("bad question")
        return question.text.upper()

    async def ask_joined(self, questions: Sequence[Question]) -> list[str]:
        self.calls.append([question.text for question in questions])
        if any(question.text == "bad" for question in questions):
            raise ValueError("one of them is bad")
        return [question.text.upper() for question in questions]


def submit(oracle: Oracle, *questions: Question, max_rows: int = 8, max_wait: float = 0.01) -> list[object]:
    async def story() -> list[object]:
        batcher = Batcher(oracle.ask, oracle.ask_joined, max_rows=max_rows, max_wait=max_wait)
        return await asyncio.gather(*map(batcher.submit, questions), return_exceptions=True)

    return asyncio.run(story())


def test_what_arrives_together_is_asked_together() -> None:
    oracle = Oracle()
    assert submit(oracle, Question("a"), Question("b"), Question("c")) == ["A", "B", "C"]
    assert oracle.calls == [["a", "b", "c"]]


def test_a_full_batch_does_not_wait() -> None:
    oracle = Oracle()
    assert submit(oracle, *(Question(text) for text in "abcd"), max_rows=2, max_wait=3600) == ["A", "B", "C", "D"]
    assert oracle.calls == [["a", "b"], ["c", "d"]]


def test_a_batch_never_gets_more_rows_than_allowed() -> None:
    oracle = Oracle()
    submit(oracle, Question("a", rows=3), Question("b", rows=2), Question("c", rows=2), max_rows=4)
    assert sorted(oracle.calls) == [["a"], ["b", "c"]]


def test_different_columns_are_not_joined() -> None:
    oracle = Oracle()
    assert submit(oracle, Question("a"), Question("b", batch_key="other"), Question("c", batch_key=None)) == [
        "A",
        "B",
        "C",
    ]
    assert all(len(call) == 1 for call in oracle.calls)


def test_a_bad_request_spoils_no_other() -> None:
    good, bad, fine = submit(Oracle(), Question("good"), Question("bad"), Question("fine"))
    assert (good, fine) == ("GOOD", "FINE")
    with pytest.raises(ValueError, match="bad question"):
        raise bad  # type: ignore[misc]


def test_the_cache_forgets_what_is_old_and_what_was_used_longest_ago() -> None:
    time = [0.0]
    answers: Answers[str] = Answers(ttl=10, entries=2, clock=lambda: time[0])
    one, two, three = key(b"1"), key(b"2"), key(b"3")
    answers.put(one, "one")
    answers.put(two, "two")
    assert answers.get(one) == "one"
    answers.put(three, "three")
    assert (answers.get(one), answers.get(two), answers.get(three)) == ("one", None, "three")
    time[0] = 10.0
    assert answers.get(one) is None


def test_no_two_requests_share_a_key() -> None:
    assert key(b"ab", b"c") != key(b"a", b"bc")
