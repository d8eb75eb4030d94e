"""Packing: round trips at every width, the layout by hand, size, speed, memory, damage."""

import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiomask.errors import TokensError
from audiomask.tokens.packing import code_bits, pack, packed_size, unpack


@given(data=st.data(), bits=st.integers(1, 31))
def test_any_codes_come_back(data: st.DataObject, bits: int) -> None:
    codes = np.array(data.draw(st.lists(st.integers(0, (1 << bits) - 1))), dtype=np.int32)
    packed = pack(codes, bits)
    assert len(packed) == packed_size(len(codes), bits) == -(-len(codes) * bits // 8)
    found = unpack(packed, bits, len(codes))
    assert found.dtype == np.int32
    assert np.array_equal(found, codes)


@given(bits=st.integers(1, 31), count=st.integers(32_760, 70_000))
def test_blocks_leave_no_seam(bits: int, count: int) -> None:
    codes = np.random.default_rng(bits).integers(1 << bits, size=count)
    packed = pack(codes, bits)
    assert np.array_equal(unpack(packed, bits, count), codes)
    # the whole is one row of bits, whatever the blocks were
    number = sum(int(code) << place * bits for place, code in enumerate(codes[-9:]))
    head = (count - 9) * bits
    assert int.from_bytes(packed[head // 8 :], "little") >> head % 8 == number


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.int64, np.uint8, np.dtype(">i4")])
def test_the_layout_by_hand(kind: np.typing.DTypeLike) -> None:
    # 5 = 101, 1 = 001, 6 = 110, the first code lowest: 110 001 101, then zeros
    packed = pack(np.array([[5], [1], [6]], dtype=kind), 3)
    assert packed == bytes([0b10_001_101, 0b0000000_1])


def test_codes_are_taken_in_the_order_of_their_axes() -> None:
    codes = np.arange(24, dtype=np.int16).reshape(2, 3, 4).transpose(1, 2, 0)
    assert pack(codes, 8) == bytes(codes.reshape(-1).tolist())


def test_bits_of_a_codebook() -> None:
    sizes = [1, 2, 3, 512, 513, 1024, 2**31 - 1]
    assert [code_bits(size) for size in sizes] == [1, 1, 2, 9, 10, 10, 31]


def test_codes_beyond_the_bits_are_no_codes() -> None:
    for wrong in (-1, 8):
        with pytest.raises(ValueError, match="3 bits"):
            pack(np.array([0, wrong], dtype=np.int16), 3)
    for bits in (0, 32):
        with pytest.raises(ValueError, match="1 to 31"):
            pack(np.zeros(8, dtype=np.int16), bits)
        with pytest.raises(ValueError, match="1 to 31"):
            unpack(b"", bits, 0)


@pytest.mark.parametrize("length", [0, 3, 5])
def test_another_length_is_refused_before_memory_is_taken(length: int) -> None:
    assert len(unpack(bytes(4), 10, 3)) == 3
    with pytest.raises(TokensError, match=f"take 4 bytes, not {length}"):
        unpack(bytes(length), 10, 3)
    with pytest.raises(TokensError, match="bytes, not 4"):
        unpack(bytes(4), 10, 1 << 60)


def test_every_padding_bit_must_be_zero() -> None:
    packed = pack(np.array([1023, 1023, 1023]), 10)
    for bit in (6, 7):
        with pytest.raises(TokensError, match="after the last code are not zero"):
            unpack(packed[:-1] + bytes([packed[-1] | 1 << bit]), 10, 3)
    unpack(pack(np.full(4, 1023), 10), 10, 4)  # without padding nothing is mistaken for it


def test_an_hour_of_stereo_takes_no_time_and_no_memory() -> None:
    count = 2 * 4 * 86 * 3600
    codes = np.random.default_rng(0).integers(1024, size=count, dtype=np.int16)
    started = time.process_time()
    packed = pack(codes, 10)
    assert np.array_equal(unpack(packed, 10, count), codes)
    assert time.process_time() - started < 1  # 0.05 s on one core
    tracemalloc.start()
    unpack(pack(codes, 10), 10, count)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * count
