"""64 bytes at a time inside numba: one unaligned load becomes a bit for each byte.

Everything here takes addresses, not arrays: numba counts the references of each array that passes
from function to function, which took half of the time. Every mask reads 64 bytes from its address
on, so a buffer needs that many spare bytes at its end. LLVM turns each comparison into a few vector
instructions of whatever machine compiles it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from codelupe_daemon.kernels import INLINE

U64 = np.uint64
PADDING = 64

_BYTES = ir.VectorType(ir.IntType(8), PADDING)
_WORD = ir.IntType(64)


def _pointer(builder: Any, address: Any, kind: Any) -> Any:
    return builder.inttoptr(address, kind.as_pointer())


def _load(builder: Any, address: Any, kind: Any) -> Any:
    value = builder.load(_pointer(builder, address, kind))
    value.align = 1
    return value


def _splat(builder: Any, byte: Any) -> Any:
    one = builder.insert_element(ir.Constant(_BYTES, ir.Undefined), byte, ir.IntType(32)(0))
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), PADDING), [0] * PADDING)
    return builder.shuffle_vector(one, ir.Constant(_BYTES, ir.Undefined), lanes)


@intrinsic
def equal_mask(_context: Any, address: Any, byte: Any) -> Any:
    """Bit k is set where the byte at address + k is `byte`."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        block = _load(builder, args[0], _BYTES)
        return builder.bitcast(builder.icmp_unsigned("==", block, _splat(builder, args[1])), _WORD)

    return types.uint64(types.uint64, types.uint8), generate


@intrinsic
def range_mask(_context: Any, address: Any, fold: Any, low: Any, span: Any) -> Any:
    """Bit k is set where low <= (byte at address + k) | fold < low + span."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        folded = builder.or_(_load(builder, args[0], _BYTES), _splat(builder, args[1]))
        shifted = builder.sub(folded, _splat(builder, args[2]))
        return builder.bitcast(builder.icmp_unsigned("<", shifted, _splat(builder, args[3])), _WORD)

    return types.uint64(types.uint64, types.uint8, types.uint8, types.uint8), generate


@intrinsic
def byte_at(_context: Any, address: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return _load(builder, args[0], ir.IntType(8))

    return types.uint8(types.uint64), generate


@intrinsic
def load64(_context: Any, address: Any) -> Any:
    """Eight bytes, the first one lowest."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return _load(builder, args[0], _WORD)

    return types.uint64(types.uint64), generate


def _column(builder: Any, row: Any, column: Any) -> Any:
    return builder.add(row, builder.shl(column, ir.Constant(_WORD, 3)))


@intrinsic
def get(_context: Any, row: Any, column: Any) -> Any:
    """The int64 in this column of the row at an address."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return _load(builder, _column(builder, *args), _WORD)

    return types.int64(types.uint64, types.int64), generate


@intrinsic
def put(_context: Any, row: Any, column: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        builder.store(args[2], _pointer(builder, _column(builder, args[0], args[1]), _WORD))
        return context.get_dummy_value()

    return types.void(types.uint64, types.int64, types.int64), generate


@intrinsic
def add(_context: Any, row: Any, column: Any, value: Any) -> Any:
    """Count up the int64 in this column of the row at an address."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        at = _pointer(builder, _column(builder, args[0], args[1]), _WORD)
        builder.store(builder.add(builder.load(at), args[2]), at)
        return context.get_dummy_value()

    return types.void(types.uint64, types.int64, types.int64), generate


@intrinsic
def lowest_bit(_context: Any, mask: Any) -> Any:
    """The index of the lowest bit that is set; 64 for none."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generate


@intrinsic
def count_bits(_context: Any, mask: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.uint64(types.uint64), generate


@njit(**INLINE)
def letter_mask(address: np.uint64, small: np.uint8) -> np.uint64:
    """Bit k is set where the byte at address + k is this letter, small or capital."""
    return range_mask(address, 32, small, 1)


@njit(**INLINE)
def limit(rest: np.uint64) -> np.uint64:
    """The mask of the first `rest` of 64 bytes."""
    if rest >= U64(64):
        return U64(0xFFFFFFFFFFFFFFFF)
    return (U64(1) << rest) - U64(1)


@njit(**INLINE)
def first_bytes(at: np.uint64, end: np.uint64) -> np.uint64:
    """One to eight bytes of at..end, the first one lowest, zeros after them; at < end."""
    rest = min(end - at, U64(8))
    return load64(at) & (U64(0xFFFFFFFFFFFFFFFF) >> (U64(64) - (rest << U64(3))))
