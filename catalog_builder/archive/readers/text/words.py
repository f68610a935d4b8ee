"""Machine operations that Python has no words for: raw loads, zero counts, wide products.

They are one instruction each. Loads go by an address and check nothing: callers keep the position
inside the buffer, which carries `PADDING` bytes after its last one. Addresses rather than arrays
are handed from function to function, for numba counts references to an array at every call, which
costs ten times as much as parsing a number.
"""

# ruff: noqa: ARG001 (numba calls the code generators with all arguments, used or not)

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from catalog_builder.ground.compiled import compiled as compiled_loop

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

#: Bytes that must follow the last one at which a load may begin, and precede the first: whole
#: vectors are loaded, whatever part of them matters.
PADDING: Final = 64

_BYTE, _WORD, _DOUBLE_WORD = ir.IntType(8), ir.IntType(64), ir.IntType(128)
_SIXTEEN_BYTES, _SIXTY_FOUR_BYTES = ir.VectorType(_BYTE, 16), ir.VectorType(_BYTE, 64)


def _digest_sources() -> str:
    folder = Path(__file__).parent
    sources = [
        (folder / f"{name}.py").read_bytes()
        for name in ("words", "numbers", "lists", "fields", "rows")
    ]
    return hashlib.sha256(b"".join(sources)).hexdigest()[:12]


_SOURCES = _digest_sources()


def compiled(function: FunctionT) -> FunctionT:
    """Compile without the interpreter lock; keep the machine code on disk where that is possible.

    Numba caches beside the module, or in the user's cache folder where that is read-only; a
    system with neither compiles once per process. Its cache looks at the age of a function's own
    file only, while machine code contains that of other modules too: the digest of all of them
    in the function's name keeps a stale one from being found.
    """
    function.__qualname__ += f"_{_SOURCES}"
    return compiled_loop(function)


def _load(bits: ir.IntType, result: Any) -> Callable[..., Any]:
    def typed(_: Any, __: Any, ___: Any) -> tuple[Any, Any]:
        def generate(_: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            place = builder.add(arguments[0], arguments[1])
            value = builder.load(builder.inttoptr(place, bits.as_pointer()))
            value.align = 1
            return value

        return result(types.int64, types.int64), generate

    return typed


load_byte = intrinsic(_load(_BYTE, types.uint8))  # (address, position) -> uint8
load_word = intrinsic(_load(_WORD, types.uint64))  # (address, position) -> 8 bytes, little-endian


@intrinsic  # type: ignore[untyped-decorator]
def store_float(_: Any, place: Any, value: Any) -> tuple[Any, Any]:
    """Store a float64 at an address."""
    return types.uint8(types.int64, types.float64), _store(ir.DoubleType())


@intrinsic  # type: ignore[untyped-decorator]
def store_integer(_: Any, place: Any, value: Any) -> tuple[Any, Any]:
    """Store an int64 at an address."""
    return types.uint8(types.int64, types.int64), _store(_WORD)


@intrinsic  # type: ignore[untyped-decorator]
def store_byte(_: Any, place: Any, value: Any) -> tuple[Any, Any]:
    """Store a byte at an address."""
    return types.uint8(types.int64, types.uint8), _store(_BYTE)


def _store(kind: Any) -> Callable[..., Any]:
    def generate(_: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[1], builder.inttoptr(arguments[0], kind.as_pointer()))
        return ir.Constant(_BYTE, 0)

    return generate


@intrinsic  # type: ignore[untyped-decorator]
def trailing_zeros(_: Any, word: Any) -> tuple[Any, Any]:
    """Count the zero bits below the lowest one; 64 for 0."""

    def generate(_: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


@intrinsic  # type: ignore[untyped-decorator]
def count_ones(_: Any, word: Any) -> tuple[Any, Any]:
    """Count the bits that are set."""

    def generate(_: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


@intrinsic  # type: ignore[untyped-decorator]
def leading_zeros(_: Any, word: Any) -> tuple[Any, Any]:
    """Count the zero bits above the highest one; 64 for 0."""

    def generate(_: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


@intrinsic  # type: ignore[untyped-decorator]
def high_product(_: Any, left: Any, right: Any) -> tuple[Any, Any]:
    """Return the high word of the 128-bit product of two words."""

    def generate(_: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = [builder.zext(argument, _DOUBLE_WORD) for argument in arguments]
        product = builder.mul(wide[0], wide[1])
        return builder.trunc(builder.lshr(product, ir.Constant(_DOUBLE_WORD, 64)), _WORD)

    return types.uint64(types.uint64, types.uint64), generate


@intrinsic  # type: ignore[untyped-decorator]
def float_of_bits(_: Any, word: Any) -> tuple[Any, Any]:
    """Return the float64 that a word holds."""

    def generate(_: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.uint64), generate


@intrinsic  # type: ignore[untyped-decorator]
def other_bytes(_: Any, text: Any, at: Any) -> tuple[Any, Any]:
    """Say which of the 16 bytes from a position on are no digits: bit k for the k-th."""

    def generate(_: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values = _sixteen_digits(builder, arguments)
        others = builder.icmp_unsigned(">", values, ir.Constant(_SIXTEEN_BYTES, [9] * 16))
        return builder.zext(builder.bitcast(others, ir.IntType(16)), _WORD)

    return types.uint64(types.int64, types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def store_digits(_: Any, text: Any, at: Any, count: Any, target: Any) -> tuple[Any, Any]:
    """Store the values of the last `count` of 16 digits at an address, zeros before them."""

    def generate(_: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values = _sixteen_digits(builder, arguments)
        missing = builder.trunc(builder.sub(ir.Constant(_WORD, 16), arguments[2]), _BYTE)
        numbers = ir.Constant(_SIXTEEN_BYTES, list(range(16)))
        kept = builder.icmp_unsigned(">=", numbers, _splat(builder, missing, _SIXTEEN_BYTES))
        values = builder.select(kept, values, ir.Constant(_SIXTEEN_BYTES, [0] * 16))
        builder.store(values, builder.inttoptr(arguments[3], _SIXTEEN_BYTES.as_pointer())).align = 1
        return ir.Constant(ir.IntType(8), 0)

    return types.uint8(types.int64, types.int64, types.int64, types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def find_bytes(_: Any, text: Any, at: Any, wanted: Any, other: Any) -> tuple[Any, Any]:
    """Say which of the 64 bytes from a position on are one of two: bit k for the k-th."""

    def generate(_: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        loaded = _load_wide(builder, arguments, _SIXTY_FOUR_BYTES)
        found = [_equal(builder, loaded, byte) for byte in arguments[2:]]
        return builder.bitcast(builder.or_(*found), _WORD)

    return types.uint64(types.int64, types.int64, types.uint8, types.uint8), generate


def _equal(builder: Any, loaded: Any, byte: Any) -> Any:
    return builder.icmp_unsigned("==", loaded, _splat(builder, byte, _SIXTY_FOUR_BYTES))


def _splat(builder: Any, byte: Any, kind: Any) -> Any:
    one = builder.insert_element(
        ir.Constant(kind, ir.Undefined), byte, ir.Constant(ir.IntType(32), 0)
    )
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), kind.count), [0] * kind.count)
    return builder.shuffle_vector(one, one, zeros)


def _sixteen_digits(builder: Any, arguments: Any) -> Any:
    loaded = _load_wide(builder, arguments, _SIXTEEN_BYTES)
    return builder.sub(loaded, ir.Constant(_SIXTEEN_BYTES, [ord("0")] * 16))


def _load_wide(builder: Any, arguments: Any, kind: Any) -> Any:
    place = builder.add(arguments[0], arguments[1])
    value = builder.load(builder.inttoptr(place, kind.as_pointer()))
    value.align = 1
    return value
