"""Compiled advection on one processor core: lanes, transforms of lanes, the tendency.

**Lanes.** Transforms run side by side, one in each lane of a vector register. numba has no type for
registers; `LanesType` holds complex numbers whose real and imaginary parts fill a register each.
Arrays hold both parts as separate planes, and `offset` counts numbers from the start of a plane.

**Transforms** are Stockham's self-sorting ones between two buffers (N, lanes), in passes of radix
8, 4 and any other factor (Van Loan 1992, "Computational frameworks for the fast Fourier transform",
section 1.7). With real and imaginary parts exchanged, the same transform is the inverse.

**Tendency** (chimera.solver.advection has the equation). A two-dimensional transform takes columns
along x, then lines along y; a line's velocities u + i v share one complex transform, and their
square u^2 - v^2 + 2 i u v is transformed back while it is in the core's nearest cache. Only kept
modes are loaded, stored and transformed.

All compiled code is in this file, because numba's cache notices changes only in the file of the
cached function. Rounding does not depend on the batch, and no relaxed arithmetic is used.
"""

import math
import operator
from collections.abc import Callable
from types import FunctionType
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core.cgutils import pack_struct, unpack_tuple
from numba.extending import intrinsic, models, overload, register_model

# The width of AVX2, on wider and narrower processors too (LLVM splits what is too wide), because it
# decides which grids the compiled engine covers: one with fewer columns than lanes it does not.
REGISTER_BYTES = 32


def lane_count(bytes_of_number: int) -> int:
    """Return the number of values that fill a register."""
    return REGISTER_BYTES // bytes_of_number


class LanesType(types.Type):
    """Complex numbers of one dtype, as many as fill two registers."""

    def __init__(self, dtype: types.Float) -> None:
        self.dtype, self.count = dtype, lane_count(dtype.bitwidth // 8)
        super().__init__(name=f"Lanes({dtype})")


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, lanes: LanesType) -> None:
        register = ir.VectorType(manager.lookup(lanes.dtype).get_value_type(), lanes.count)
        super().__init__(manager, lanes, ir.LiteralStructType([register, register]))


# Each intrinsic below returns its signature and a generator of LLVM instructions.


def _call(builder: Any, name: str, *registers: Any) -> Any:
    """Call an LLVM intrinsic on registers."""
    kind = registers[0].type
    bits = 64 if isinstance(kind.element, ir.DoubleType) else 32
    signature = ir.FunctionType(kind, [kind] * len(registers))
    name = f"llvm.{name}.v{kind.count}f{bits}"
    return builder.call(builder.module.declare_intrinsic(name, (), signature), registers)


def _times(builder: Any, a: tuple[Any, Any], b: tuple[Any, Any]) -> tuple[Any, Any]:
    re, im = builder.fmul(a[1], b[1]), builder.fmul(a[1], b[0])
    re = _call(builder, "fmuladd", a[0], b[0], builder.fneg(re))
    return re, _call(builder, "fmuladd", a[0], b[1], im)


def _splat(builder: Any, scalar: Any, count: int) -> Any:
    kind = ir.VectorType(scalar.type, count)
    unset, zero = ir.Constant(kind, ir.Undefined), ir.Constant(ir.IntType(32), 0)
    first = builder.insert_element(unset, scalar, zero)
    everywhere = ir.Constant(ir.VectorType(ir.IntType(32), count), [0] * count)
    return builder.shuffle_vector(first, first, everywhere)


def _pointer(context: Any, builder: Any, kind: Any, array: Any, offset: Any) -> Any:
    """Return the address of the register at an offset of an array."""
    dtype = context.get_value_type(kind.dtype)
    register = ir.VectorType(dtype, lane_count(kind.dtype.bitwidth // 8))
    address = builder.gep(context.make_array(kind)(context, builder, array).data, [offset])
    return builder.bitcast(address, register.as_pointer())


def _read(context: Any, builder: Any, kind: Any, array: Any, offset: Any) -> Any:
    pointer = _pointer(context, builder, kind, array, offset)
    return builder.load(pointer, align=kind.dtype.bitwidth // 8)


def _write(context: Any, builder: Any, kind: Any, array: Any, offset: Any, register: Any) -> None:
    pointer = _pointer(context, builder, kind, array, offset)
    builder.store(register, pointer, align=kind.dtype.bitwidth // 8)


@intrinsic
def load(_: Any, re: Any, im: Any, offset: Any) -> Any:
    """Return the lanes that start at an offset of two planes."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        planes = zip(signature.args[:2], args[:2], strict=True)
        return pack_struct(builder, [_read(context, builder, k, p, args[2]) for k, p in planes])

    return LanesType(re.dtype)(re, im, types.intp), generate


@intrinsic
def store(_: Any, re: Any, im: Any, offset: Any, lanes: Any) -> Any:
    """Write lanes at an offset of two planes."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        for number, part in enumerate(unpack_tuple(builder, args[3])):
            _write(context, builder, signature.args[number], args[number], args[2], part)
        return context.get_dummy_value()

    return types.void(re, im, types.intp, lanes), generate


@intrinsic
def fill(_: Any, re: Any, im: Any) -> Any:
    """Return lanes that all hold the same complex number."""

    def generate(_: Any, builder: Any, signature: Any, args: Any) -> Any:
        count = signature.return_type.count
        return pack_struct(builder, [_splat(builder, part, count) for part in args])

    return LanesType(re)(re, im), generate


@intrinsic
def transpose(
    _: Any, source: Any, start: Any, stride: Any, to: Any, to_start: Any, to_stride: Any
) -> Any:
    """Write the transpose of a square tile of one plane, as wide as a register, into another."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        count = lane_count(signature.args[0].dtype.bitwidth // 8)

        def offset(row: int, start: Any, stride: Any) -> Any:
            return builder.add(start, builder.mul(stride, ir.Constant(stride.type, row)))

        places = [offset(row, *args[1:3]) for row in range(count)]
        rows = [_read(context, builder, signature.args[0], args[0], place) for place in places]
        # A perfect shuffle of rows k and k + count / 2, log2(count) times, transposes.
        shuffled = [number // 2 + number % 2 * count for number in range(count)]
        indices = ir.VectorType(ir.IntType(32), count)
        low = ir.Constant(indices, shuffled)
        high = ir.Constant(indices, [number + count // 2 for number in shuffled])
        for _ in range(count.bit_length() - 1):
            pairs = zip(rows[: count // 2], rows[count // 2 :], strict=True)
            rows = [builder.shuffle_vector(a, b, m) for a, b in pairs for m in (low, high)]
        for row, register in enumerate(rows):
            place = offset(row, *args[4:6])
            _write(context, builder, signature.args[3], args[3], place, register)
        return context.get_dummy_value()

    whole = types.intp
    return types.void(source, whole, whole, to, whole, whole), generate


def _elementwise(combine: Callable[..., tuple[Any, Any]], arity: int) -> Any:
    """Return an intrinsic of `arity` lanes from a function of their parts."""

    def generate(_: Any, builder: Any, __: Any, args: Any) -> Any:
        return pack_struct(builder, combine(builder, *(unpack_tuple(builder, a) for a in args)))

    if arity == 1:
        return intrinsic(lambda _, a: (a(a), generate))
    return intrinsic(lambda _, a, b: (a(a, b), generate))


def _larger(builder: Any, best: tuple[Any, Any], w: tuple[Any, Any]) -> tuple[Any, Any]:
    speed = builder.fadd(*(_call(builder, "fabs", part) for part in w))
    return _call(builder, "maximum", best[0], speed), best[1]  # NaN stays NaN


conjugate = _elementwise(lambda b, a: (a[0], b.fneg(a[1])), 1)
times_i = _elementwise(lambda b, a: (b.fneg(a[1]), a[0]), 1)
times_minus_i = _elementwise(lambda b, a: (a[1], b.fneg(a[0])), 1)
scale = _elementwise(lambda b, x, y: tuple(map(b.fmul, x, y)), 2)  # each part by itself
larger_speed = _elementwise(_larger, 2)


def _overload(symbol: Any, function: Any) -> None:
    @overload(symbol)
    def implementation(a, b):
        if isinstance(a, LanesType) and isinstance(b, LanesType):
            return lambda a, b: function(a, b)
        return None


_overload(operator.add, _elementwise(lambda b, x, y: tuple(map(b.fadd, x, y)), 2))
_overload(operator.sub, _elementwise(lambda b, x, y: tuple(map(b.fsub, x, y)), 2))
_overload(operator.mul, _elementwise(_times, 2))


def _cached(function: Any) -> dict[str, Any]:
    """Return the function for each dtype, compiled when first called.

    numba caches the code beside this file, or in the user's cache folder if that cannot be written.
    Each dtype has its own name and so its own file: two processes that compile for different dtypes
    at once never write the same one.
    """
    compiled = {}
    for dtype in ("float64", "float32"):
        copy = FunctionType(function.__code__, function.__globals__, f"{function.__name__}_{dtype}")
        copy.__qualname__ = copy.__name__
        try:
            compiled[dtype] = njit(cache=True)(copy)
        except RuntimeError:  # neither folder can be written
            compiled[dtype] = njit(copy)
    return compiled


@njit(forceinline=True)
def turn(lanes, table, offset):
    """Return lanes times the complex number at an offset of a table."""
    # An unsigned index spares the check for a negative one.
    return lanes * fill(table[types.uintp(offset)], table[types.uintp(offset + 1)])


@njit(forceinline=True)
def _butterfly(a, b, c, d):
    """Return the discrete Fourier transform of a, b, c, d."""
    e0, e1, e2, e3 = a + c, a - c, b + d, times_minus_i(b - d)
    return e0 + e2, e1 + e3, e0 - e2, e1 - e3


@njit(forceinline=True)
def _radix_8(xr, xi, yr, yi, length, stride, twiddles, start):
    step = xr.shape[1]
    root = fill(xr.dtype.type(math.sqrt(0.5)), xr.dtype.type(math.sqrt(0.5)))
    for p in range(length // 8):
        t = start + 14 * p
        for q in range(stride):
            at, gap = (q + stride * p) * step, stride * (length // 8) * step
            a, b = load(xr, xi, at), load(xr, xi, at + 2 * gap)
            c, d = load(xr, xi, at + 4 * gap), load(xr, xi, at + 6 * gap)
            even0, even1, even2, even3 = _butterfly(a, b, c, d)
            a, b = load(xr, xi, at + gap), load(xr, xi, at + 3 * gap)
            c, d = load(xr, xi, at + 5 * gap), load(xr, xi, at + 7 * gap)
            odd0, odd1, odd2, odd3 = _butterfly(a, b, c, d)
            odd1 = scale(odd1 + times_minus_i(odd1), root)
            odd2 = times_minus_i(odd2)
            odd3 = scale(times_minus_i(odd3) - odd3, root)
            at, gap = (q + stride * 8 * p) * step, stride * step
            store(yr, yi, at, even0 + odd0)
            store(yr, yi, at + gap, turn(even1 + odd1, twiddles, t))
            store(yr, yi, at + 2 * gap, turn(even2 + odd2, twiddles, t + 2))
            store(yr, yi, at + 3 * gap, turn(even3 + odd3, twiddles, t + 4))
            store(yr, yi, at + 4 * gap, turn(even0 - odd0, twiddles, t + 6))
            store(yr, yi, at + 5 * gap, turn(even1 - odd1, twiddles, t + 8))
            store(yr, yi, at + 6 * gap, turn(even2 - odd2, twiddles, t + 10))
            store(yr, yi, at + 7 * gap, turn(even3 - odd3, twiddles, t + 12))


@njit(forceinline=True)
def _radix_4(xr, xi, yr, yi, length, stride, twiddles, start):
    step = xr.shape[1]
    for p in range(length // 4):
        t = start + 6 * p
        for q in range(stride):
            at, gap = (q + stride * p) * step, stride * (length // 4) * step
            a, b = load(xr, xi, at), load(xr, xi, at + gap)
            c, d = load(xr, xi, at + 2 * gap), load(xr, xi, at + 3 * gap)
            a, b, c, d = _butterfly(a, b, c, d)
            at, gap = (q + stride * 4 * p) * step, stride * step
            store(yr, yi, at, a)
            store(yr, yi, at + gap, turn(b, twiddles, t))
            store(yr, yi, at + 2 * gap, turn(c, twiddles, t + 2))
            store(yr, yi, at + 3 * gap, turn(d, twiddles, t + 4))


@njit(forceinline=True)
def _any_radix(xr, xi, yr, yi, length, stride, radix, twiddles, start):
    step = xr.shape[1]
    gap = stride * (length // radix) * step
    for p in range(length // radix):
        for k in range(radix):
            t = start + 2 * (p * radix + k) * radix
            for q in range(stride):
                at = (q + stride * p) * step
                total = turn(load(xr, xi, at), twiddles, t)
                for j in range(1, radix):
                    total = total + turn(load(xr, xi, at + j * gap), twiddles, t + 2 * j)
                store(yr, yi, (q + stride * (radix * p + k)) * step, total)


@njit
def transform(re, im, passes, twiddles):
    """Transform forward the N numbers of each lane; with `re` and `im` exchanged, backward.

    Real and imaginary parts have two buffers each, (2, N, lanes): the input is in the first, the
    result in the first after an even number of passes, else in the second. `passes` (passes, 2) are
    radices and where each one's numbers start in the table of chimera.solver.compiled.advection.
    """
    length = re.shape[1]
    for number in range(len(passes)):
        source = number % 2
        radix, start = passes[number]
        stride = re.shape[1] // length
        xr, xi, yr, yi = re[source], im[source], re[1 - source], im[1 - source]
        if radix == 8:
            _radix_8(xr, xi, yr, yi, length, stride, twiddles, start)
        elif radix == 4:
            _radix_4(xr, xi, yr, yi, length, stride, twiddles, start)
        else:
            _any_radix(xr, xi, yr, yi, length, stride, radix, twiddles, start)
        length //= radix


@njit
def _columns_to_grid(state, factors, planes, work, passes, twiddles):
    """Transform i factor x modes (M, C) of u and v along x, to (x, m_y) in planes."""
    num_points, step = work.shape[2:]
    rows, columns = factors.shape[1:]
    highest, last = columns - 1, len(passes) % 2
    for part in range(2):
        for first in range(0, columns, step):
            column = min(first, columns - step)  # the last block overlaps the one before
            for row in range(rows):
                at = row * columns + column
                line = row if row <= highest else row + num_points - rows
                factor = load(factors[part], factors[part], at)
                modes = times_i(scale(load(state[0], state[1], at), factor))
                store(work[0, 0], work[1, 0], line * step, modes)
            work[:, 0, highest + 1 : num_points - highest] = 0.0
            transform(work[1], work[0], passes, twiddles)
            for line in range(num_points):
                lanes = load(work[0, last], work[1, last], line * step)
                at = line * planes.shape[2] + column
                store(planes[2 * part], planes[2 * part + 1], at, lanes)


@njit
def _lines_to_grid(planes, first, highest, tile, work, passes, twiddles):
    """Transform u and v along y, in lines from `first` on, to u + i v (y, lanes) in `work`."""
    num_points, step = work.shape[2:]
    for plane in range(4):
        for column in range(0, planes.shape[2], step):
            at = first * planes.shape[2] + column
            transpose(planes[plane], at, planes.shape[2], tile[plane], column * step, step)
    for m in range(highest + 1):
        u = load(tile[0], tile[1], m * step)
        v = times_i(load(tile[2], tile[3], m * step))
        store(work[0, 0], work[1, 0], m * step, u + v)
        if m > 0:  # for real fields, the mode -m is the conjugate
            store(work[0, 0], work[1, 0], (num_points - m) * step, conjugate(u - v))
    work[:, 0, highest + 1 : num_points - highest] = 0.0
    transform(work[1], work[0], passes, twiddles)


@njit
def _lines_to_modes(planes, first, highest, tile, work, passes, twiddles):
    """Square u + i v and transform along y, to 2 (u^2 - v^2) and 4 u v (x, m_y) in planes."""
    num_points, step = work.shape[2:]
    last = len(passes) % 2
    for y in range(num_points):
        w = load(work[0, last], work[1, last], y * step)
        store(work[0, 0], work[1, 0], y * step, w * w)
    transform(work[0], work[1], passes, twiddles)
    for m in range(highest + 1):
        mode = load(work[0, last], work[1, last], m * step)
        mirror = load(work[0, last], work[1, last], (num_points - m) % num_points * step)
        store(tile[0], tile[1], m * step, mode + conjugate(mirror))
        store(tile[2], tile[3], m * step, times_minus_i(mode - conjugate(mirror)))
    for plane in range(4):
        for column in range(0, planes.shape[2], step):
            at = first * planes.shape[2] + column
            transpose(tile[plane], column * step, step, planes[plane], at, planes.shape[2])


@njit
def _columns_to_modes(planes, factors, out, work, passes, twiddles):
    """Transform both products along x, and write the sum of factor x modes, (2, M, C)."""
    num_points, step = work.shape[2:]
    rows, columns = factors.shape[1:]
    highest, last = columns - 1, len(passes) % 2
    for first in range(0, columns, step):
        column = min(first, columns - step)
        for product in range(2):
            for line in range(num_points):
                at = line * planes.shape[2] + column
                lanes = load(planes[2 * product], planes[2 * product + 1], at)
                store(work[0, 0], work[1, 0], line * step, lanes)
            transform(work[0], work[1], passes, twiddles)
            for row in range(rows):
                at = row * columns + column
                line = row if row <= highest else row + num_points - rows
                modes = load(work[0, last], work[1, last], line * step)
                modes = scale(modes, load(factors[product], factors[product], at))
                if product > 0:
                    modes = modes + load(out[0], out[1], at)
                store(out[0], out[1], at, modes)


@_cached
def tendency(state, out, to_velocity, from_products, planes, tile, work, passes, twiddles):
    """Write the tendency of real and imaginary parts of modes, (B, 2, M, C), into `out`.

    Factors (2, M, C) are those of the modes of u and v, divided by i, and of the modes of
    2 (u^2 - v^2) and 4 u v. The rest is memory: `planes` for real and imaginary parts of u and of v
    between two transforms, (4, N and C rounded up to whole registers), zero beyond N and C; `tile`
    for as many of their lines as there are lanes, (4, C rounded up, lanes); `work` for both buffers
    of the real and imaginary parts of a transform, (2, 2, N, lanes).
    """
    highest = state.shape[3] - 1
    for number in range(len(state)):
        _columns_to_grid(state[number], to_velocity, planes, work, passes, twiddles)
        for first in range(0, planes.shape[1], work.shape[3]):
            _lines_to_grid(planes, first, highest, tile, work, passes, twiddles)
            _lines_to_modes(planes, first, highest, tile, work, passes, twiddles)
        _columns_to_modes(planes, from_products, out[number], work, passes, twiddles)


@_cached
def largest_speeds(state, out, to_velocity, planes, tile, work, passes, twiddles):
    """Write the largest |u| + |v| in each lane into the first half of `out` (B, 2, lanes)."""
    num_points, step = work.shape[2:]
    last, highest = len(passes) % 2, state.shape[3] - 1
    for number in range(len(state)):
        _columns_to_grid(state[number], to_velocity, planes, work, passes, twiddles)
        out[number] = 0.0
        best = load(out[number, 0], out[number, 1], 0)
        for first in range(0, planes.shape[1], step):
            _lines_to_grid(planes, first, highest, tile, work, passes, twiddles)
            for y in range(num_points):
                best = larger_speed(best, load(work[0, last], work[1, last], y * step))
        store(out[number, 0], out[number, 1], 0, best)
