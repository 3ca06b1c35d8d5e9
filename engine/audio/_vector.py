"""Eight float32 numbers at once, for numba kernels.

Numba's loop vectorizer keeps running sums in memory and leaves a scalar loop for what does not fill a vector,
whose rounding may differ. These intrinsics emit LLVM vector instructions instead: sums stay in registers, and
an output sample is made by the same instructions in the same order wherever it falls in a chunk, so results
do not depend on how the input was cut. LLVM splits the vectors where the machine's are narrower, and uses
fused multiply-add where it has it.

Addresses are integers (bytes). Nothing is checked and nothing needs to be aligned: the caller owns the
bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types as numba_types
from numba.extending import intrinsic, models, register_model

_VECTOR = ir.VectorType(ir.FloatType(), 8)
_INT32S = ir.VectorType(ir.IntType(32), 8)
_INT16S = ir.VectorType(ir.IntType(16), 8)
# Adding 1.5 * 2**23 to a float32 below 2**22 rounds it to an integer, half to even, and leaves that integer
# in the low bits of the result, in two's complement.
_ROUNDER = 12582912.0

Emit = Callable[[Any, Any, Any, Any], Any]
Typed = tuple[Any, Emit]


def _operation(build: Callable[..., Typed]) -> Any:
    """Make a function that kernels can call from one that gives its signature and emits its instructions."""
    return intrinsic(build)


types: Any = numba_types


class Float8(numba_types.Type):
    """The numba type of a vector of eight float32."""


numba_type: Any = Float8
float8 = numba_type("Float8")
model_of: Any = register_model


@model_of(Float8)
class _Float8Model(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        initialize: Any = super().__init__
        initialize(dmm, fe_type, _VECTOR)


def _pointer(builder: Any, address: Any, pointee: Any) -> Any:
    return builder.inttoptr(address, pointee.as_pointer())


def _load(builder: Any, address: Any, kind: Any, align: int) -> Any:
    value = builder.load(_pointer(builder, address, kind))
    value.align = align
    return value


def _store(builder: Any, value: Any, address: Any, align: int) -> None:
    builder.store(value, _pointer(builder, address, value.type)).align = align


def _splat(builder: Any, scalar: Any) -> Any:
    lane = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), scalar, ir.IntType(32)(0))
    return builder.shuffle_vector(lane, lane, ir.Constant(_INT32S, [0] * 8))


def _constant(value: float) -> Any:
    return ir.Constant(_VECTOR, [value] * 8)


def _shuffle(builder: Any, a: Any, b: Any, order: list[int]) -> Any:
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(order)), order))


def _sums(builder: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """The four vectors' totals as one vector of four; a transpose costs half of four separate sums."""
    low, high = [0, 8, 1, 9, 4, 12, 5, 13], [2, 10, 3, 11, 6, 14, 7, 15]
    ab = builder.fadd(_shuffle(builder, a, b, low), _shuffle(builder, a, b, high))
    cd = builder.fadd(_shuffle(builder, c, d, low), _shuffle(builder, c, d, high))
    low, high = [0, 1, 8, 9, 4, 5, 12, 13], [2, 3, 10, 11, 6, 7, 14, 15]
    halves = builder.fadd(_shuffle(builder, ab, cd, low), _shuffle(builder, ab, cd, high))
    low, high = [0, 1, 2, 3], [4, 5, 6, 7]
    return builder.fadd(_shuffle(builder, halves, halves, low), _shuffle(builder, halves, halves, high))


@_operation
def zero8(typingctx: Any) -> Typed:
    """Eight zeros."""

    def emit(_context: Any, _builder: Any, _signature: Any, _arguments: Any) -> Any:
        return _constant(0.0)

    return float8(), emit


@_operation
def load8(typingctx: Any, address: Any) -> Typed:
    """The eight float32 at `address`."""

    def emit(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return _load(builder, arguments[0], _VECTOR, 4)

    return float8(types.int64), emit


@_operation
def splat8(typingctx: Any, address: Any) -> Typed:
    """The float32 at `address`, eight times."""

    def emit(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return _splat(builder, _load(builder, arguments[0], ir.FloatType(), 4))

    return float8(types.int64), emit


@_operation
def fill8(typingctx: Any, scalar: Any) -> Typed:
    """A float32, eight times."""

    def emit(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return _splat(builder, arguments[0])

    return float8(types.float32), emit


@_operation
def store8(typingctx: Any, address: Any, vector: Any) -> Typed:
    """Write eight float32 at `address`."""

    def emit(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        _store(builder, arguments[1], arguments[0], 4)
        return context.get_dummy_value()

    return types.void(types.int64, float8), emit


@_operation
def store_pairs8(typingctx: Any, address: Any, first: Any, second: Any) -> Typed:
    """Write sixteen float32 at `address`: first and second interleaved."""

    def emit(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        address, first, second = arguments
        low, high = [0, 8, 1, 9, 2, 10, 3, 11], [4, 12, 5, 13, 6, 14, 7, 15]
        _store(builder, _shuffle(builder, first, second, low), address, 4)
        upper = builder.add(address, ir.IntType(64)(32))
        _store(builder, _shuffle(builder, first, second, high), upper, 4)
        return context.get_dummy_value()

    return types.void(types.int64, float8, float8), emit


@_operation
def add8(typingctx: Any, a: Any, b: Any) -> Typed:
    """a + b."""

    def emit(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.fadd(*arguments)

    return float8(float8, float8), emit


@_operation
def subtract8(typingctx: Any, a: Any, b: Any) -> Typed:
    """a - b."""

    def emit(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.fsub(*arguments)

    return float8(float8, float8), emit


@_operation
def multiply_add8(typingctx: Any, a: Any, b: Any, c: Any) -> Typed:
    """a * b + c, with one rounding where the machine can, with two elsewhere."""

    def emit(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(_VECTOR, [_VECTOR, _VECTOR, _VECTOR])
        return builder.call(builder.module.declare_intrinsic("llvm.fmuladd.v8f32", (), kind), arguments)

    return float8(float8, float8, float8), emit


@_operation
def store_sums(typingctx: Any, address: Any, step: Any, a: Any, b: Any, c: Any, d: Any) -> Typed:
    """Write the totals of a, b, c and d as float32 at `address` and every `step` bytes after it."""

    def emit(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        address, step, *vectors = arguments
        totals = _sums(builder, *vectors)
        for lane in range(4):
            _store(builder, builder.extract_element(totals, ir.IntType(32)(lane)), address, 4)
            address = builder.add(address, step)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, float8, float8, float8, float8), emit


@_operation
def store_sums_together(typingctx: Any, address: Any, a: Any, b: Any, c: Any, d: Any) -> Typed:
    """Write the totals of a, b, c and d as four float32 at `address`."""

    def emit(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        address, *vectors = arguments
        _store(builder, _sums(builder, *vectors), address, 4)
        return context.get_dummy_value()

    return types.void(types.int64, float8, float8, float8, float8), emit


@_operation
def load_pcm8(typingctx: Any, address: Any) -> Typed:
    """Eight int16 at `address`, as float32."""

    def emit(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.sitofp(builder.sext(_load(builder, arguments[0], _INT16S, 2), _INT32S), _VECTOR)

    return float8(types.int64), emit


@_operation
def split_pcm8(typingctx: Any, address: Any, even: Any, odd: Any) -> Typed:
    """Take sixteen int16 at `address` apart: every other one as float32 to `even`, the rest to `odd`."""

    def emit(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        address, even, odd = arguments
        both = _load(builder, address, ir.VectorType(ir.IntType(16), 16), 2)
        for first, target in ((0, even), (1, odd)):
            half = _shuffle(builder, both, both, list(range(first, 16, 2)))
            _store(builder, builder.sitofp(builder.sext(half, _INT32S), _VECTOR), target, 4)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), emit


@_operation
def load_pcm(typingctx: Any, address: Any) -> Typed:
    """The int16 at `address`."""

    def emit(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.sext(_load(builder, arguments[0], ir.IntType(16), 2), ir.IntType(64))

    return types.int64(types.int64), emit


@_operation
def store_pcm(typingctx: Any, address: Any, sample: Any) -> Typed:
    """Write the low sixteen bits of `sample` at `address`."""

    def emit(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        _store(builder, builder.trunc(arguments[1], ir.IntType(16)), arguments[0], 2)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), emit


@_operation
def store_sample(typingctx: Any, address: Any, sample: Any) -> Typed:
    """Write `sample` as a float32 at `address`."""

    def emit(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        _store(builder, builder.sitofp(arguments[1], ir.FloatType()), arguments[0], 4)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), emit


@_operation
def store_pcm8(typingctx: Any, address: Any, vector: Any) -> Typed:
    """Round eight float32, half to even, into int16 at `address`; return how many had to be clipped."""

    def emit(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        address, vector = arguments
        over = builder.fcmp_ordered(">", vector, _constant(32767.5))
        under = builder.fcmp_ordered("<", vector, _constant(-32768.5))
        vector = builder.select(
            builder.fcmp_ordered("<", vector, _constant(32767.0)), vector, _constant(32767.0)
        )
        vector = builder.select(
            builder.fcmp_ordered(">", vector, _constant(-32768.0)), vector, _constant(-32768.0)
        )
        bits = builder.bitcast(builder.fadd(vector, _constant(_ROUNDER)), _INT32S)
        _store(builder, builder.trunc(bits, _INT16S), address, 2)
        clipped = builder.bitcast(builder.or_(over, under), ir.IntType(8))
        return builder.zext(builder.ctpop(clipped), ir.IntType(64))

    return types.int64(types.int64, float8), emit
