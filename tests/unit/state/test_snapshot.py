"""A state is read back as it was written, and what is not whole and ours is an error (P4)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.sdk.diagnostics import DiagnosticError
from mlinfra.state.snapshot import State

from .fakes import resource

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def example() -> State:
    state = State.new("shop", "test")
    return state.with_resources({a: resource(a, dependencies=["b"], component="c") for a in ("a", "b/x.y", "ü\n")})


def code(data: bytes, blueprint: str = "shop", environment: str = "test") -> str:
    with pytest.raises(DiagnosticError) as caught:
        State.parse(data, blueprint, environment)
    (told,) = caught.value.diagnostics
    assert told.summary
    assert told.detail
    assert told.remedy
    return told.code


@given(st.dictionaries(st.text(), VALUES, max_size=4), st.text(), st.lists(st.text(), max_size=3))
def test_what_is_written_is_read(fields: dict[str, object], address: str, dependencies: list[str]) -> None:
    state = State.new("shop", "test").with_resources({address: resource(address, dependencies=dependencies)})
    entry = state.resources[address]
    state = state.with_resources({address: type(entry)(address, "t", "p", "i", fields, fields, dependencies)})
    again = State.parse(state.dump(), "shop", "test")
    assert again.resources == state.resources
    assert (again.lineage, again.serial, again.salt) == (state.lineage, state.serial, state.salt)
    assert again.written_by


def test_every_truncation_is_damage() -> None:
    data = example().dump()
    assert {code(data[:length]) for length in range(len(data))} == {"state-damaged"}


@given(st.data())
def test_a_changed_byte_never_passes_as_another_state(data: st.DataObject) -> None:
    whole = example()
    raw = bytearray(whole.dump())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    try:
        found: object = State.parse(bytes(raw), "shop", "test").resources
    except DiagnosticError as error:
        found = error.diagnostics[0].code
    assert found in (whole.resources, "state-damaged", "state-newer")


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00" * 100, b"null", b"[]", b'"x"', b"{}", b'{"version": 4, "serial": 1}', b"\xff\xfe", b"[" * 100_000],
)
def test_what_is_not_a_state_is_damage(data: bytes) -> None:
    assert code(data) == "state-damaged"


def test_a_newer_state_is_refused() -> None:
    record = json.loads(example().dump())
    record["mlinfra_state"] += 1
    assert code(json.dumps(record).encode()) == "state-newer"


@pytest.mark.parametrize(("blueprint", "environment"), [("other", "test"), ("shop", "prod")])
def test_the_state_of_another_is_refused(blueprint: str, environment: str) -> None:
    assert code(example().dump(), blueprint, environment) == "state-foreign"


def test_no_two_new_states_are_the_same() -> None:
    one, two = State.new("shop", "test"), State.new("shop", "test")
    assert one.lineage != two.lineage
    assert one.salt != two.salt
