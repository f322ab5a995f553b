from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ocean_operator.packed import pack, unpack

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=20,
)


@given(JSON)
def test_what_is_packed_comes_back(value: object) -> None:
    assert unpack(pack(value)) == value


@given(JSON)
def test_equal_values_are_equal_when_packed(value: object) -> None:
    """A report that says the same again is no news."""
    assert pack(unpack(pack(value))) == pack(value)
