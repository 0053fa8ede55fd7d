"""Random bits in a kernel: Philox 4x64-10 as ``corenn.philox`` defines it, in blocks of eight numbers of 32 bits.

Where many are drawn, eight blocks are computed at once, in vectors: products of 64 by 64 bits to 128 are put together
from those of halves.  The rest is computed block by block in scalar registers, where one instruction has the product.
Lanes that start inside a block take one block more.
"""

from __future__ import annotations

_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_INCREMENTS = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_ROUNDS = 10


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _block() -> str:
    """``<4 x i64> philox_block(seed, stream, block)``."""
    lines = ["define internal <4 x i64> @philox_block(i64 %seed, i64 %stream, i64 %block) alwaysinline {"]
    x, y, z, w, k, m = "%block", "0", "0", "0", "%seed", "%stream"

    def put(name: str, text: str) -> str:
        lines.append(f"  %{name} = {text}")
        return f"%{name}"

    for n in range(_ROUNDS):
        if n:
            k = put(f"k{n}", f"add i64 {k}, {_signed(_INCREMENTS[0])}")
            m = put(f"m{n}", f"add i64 {m}, {_signed(_INCREMENTS[1])}")
        high, low = [], []
        for place, value in enumerate((x, z)):
            tag = f"{n}_{place}"
            wide = put(f"w{tag}", f"zext i64 {value} to i128")
            product = put(f"p{tag}", f"mul i128 {wide}, {_MULTIPLIERS[place]}")
            upper = put(f"u{tag}", f"lshr i128 {product}, 64")
            high.append(put(f"h{tag}", f"trunc i128 {upper} to i64"))
            low.append(put(f"l{tag}", f"trunc i128 {product} to i64"))
        mixed = put(f"a{n}", f"xor i64 {high[1]}, {y}"), put(f"b{n}", f"xor i64 {high[0]}, {w}")
        x, y, z, w = put(f"x{n}", f"xor i64 {mixed[0]}, {k}"), low[1], put(f"z{n}", f"xor i64 {mixed[1]}, {m}"), low[0]
    result = "poison"
    for lane, value in enumerate((x, y, z, w)):
        result = put(f"r{lane}", f"insertelement <4 x i64> {result}, i64 {value}, i64 {lane}")
    return "\n".join([*lines, f"  ret <4 x i64> {result}", "}"])


#: Lanes of 32 bits in eight blocks.
WIDE = 64


def _eight_blocks() -> str:
    """``{<16 x i32> * 4} philox_eight(seed, stream, block)``: eight blocks from one on, in the order of elements."""
    eight = "<8 x i64>"
    lines = [f"define internal {{{', '.join(['<16 x i32>'] * 4)}}} @philox_eight(i64 %seed, i64 %stream, i64 %block) "
             "alwaysinline {"]  # fmt: skip

    def put(name: str, text: str) -> str:
        lines.append(f"  %{name} = {text}")
        return f"%{name}"

    def splat(name: str, value: str) -> str:
        one = put(f"{name}.one", f"insertelement {eight} poison, i64 {value}, i64 0")
        return put(name, f"shufflevector {eight} {one}, {eight} poison, <8 x i32> zeroinitializer")

    low_half, shift = "splat (i64 4294967295)", "splat (i64 32)"

    def product(tag: str, x: str, factor: int) -> tuple[str, str]:
        """The high and the low 64 bits of the product with a constant."""
        high, low = f"splat (i64 {factor >> 32})", f"splat (i64 {factor & 0xFFFFFFFF})"
        xl, xh = put(f"{tag}.xl", f"and {eight} {x}, {low_half}"), put(f"{tag}.xh", f"lshr {eight} {x}, {shift}")
        ll, lh = put(f"{tag}.ll", f"mul {eight} {xl}, {low}"), put(f"{tag}.lh", f"mul {eight} {xl}, {high}")
        hl, hh = put(f"{tag}.hl", f"mul {eight} {xh}, {low}"), put(f"{tag}.hh", f"mul {eight} {xh}, {high}")
        middle = put(f"{tag}.m", f"add {eight} {hl}, {put(f'{tag}.c', f'lshr {eight} {ll}, {shift}')}")
        second = put(f"{tag}.n", f"add {eight} {lh}, {put(f'{tag}.d', f'and {eight} {middle}, {low_half}')}")
        carried = put(f"{tag}.e", f"add {eight} {hh}, {put(f'{tag}.f', f'lshr {eight} {middle}, {shift}')}")
        upper = put(f"{tag}.u", f"add {eight} {carried}, {put(f'{tag}.g', f'lshr {eight} {second}, {shift}')}")
        return upper, put(f"{tag}.l", f"mul {eight} {x}, splat (i64 {_signed(factor)})")

    first = splat("first", "%block")
    x = put("counters", f"add {eight} {first}, <{', '.join(f'i64 {n}' for n in range(8))}>")
    y = z = w = "zeroinitializer"
    k, m = "%seed", "%stream"
    for n in range(_ROUNDS):
        if n:
            k = put(f"k{n}", f"add i64 {k}, {_signed(_INCREMENTS[0])}")
            m = put(f"m{n}", f"add i64 {m}, {_signed(_INCREMENTS[1])}")
        keys = splat(f"ks{n}", k), splat(f"ms{n}", m)
        high, low = product(f"p{n}", x, _MULTIPLIERS[0])
        other, lower = product(f"q{n}", z, _MULTIPLIERS[1])
        mixed = put(f"a{n}", f"xor {eight} {other}, {y}"), put(f"b{n}", f"xor {eight} {high}, {w}")
        x, z = put(f"x{n}", f"xor {eight} {mixed[0]}, {keys[0]}"), put(f"z{n}", f"xor {eight} {mixed[1]}, {keys[1]}")
        y, w = lower, low
    sixteen = "<16 x i64>"
    order = ", ".join(f"i32 {n}" for n in range(16))
    pairs = [put(f"pair{i}", f"shufflevector {eight} {a}, {eight} {b}, <16 x i32> <{order}>")
             for i, (a, b) in enumerate(((x, y), (z, w)))]  # fmt: skip
    result = "poison"
    type_ = f"{{{', '.join(['<16 x i32>'] * 4)}}}"
    for part in range(4):
        # of two blocks: x, y of the first pair, z, w of the second, where the other half of each pair is 8 further on
        places = [p for block in (2 * part, 2 * part + 1) for p in (block, block + 8, block + 16, block + 24)]
        chosen = ", ".join(f"i32 {p}" for p in places)
        words = put(f"part{part}", f"shufflevector {sixteen} {pairs[0]}, {sixteen} {pairs[1]}, <8 x i32> <{chosen}>")
        halves = put(f"bits{part}", f"bitcast {eight} {words} to <16 x i32>")
        result = put(f"r{part}", f"insertvalue {type_} {result}, <16 x i32> {halves}, {part}")
    return "\n".join([*lines, f"  ret {type_} {result}", "}"])


def _wide() -> str:
    """``{<16 x i32> * 4} philox_wide(seed, stream, element)``: 64 elements from one on."""
    vector = "<16 x i32>"
    type_ = f"{{{', '.join([vector] * 4)}}}"
    lines = [
        f"define internal {type_} @philox_wide(i64 %seed, i64 %stream, i64 %element) alwaysinline {{",
        "entry:",
        "  %space = alloca <80 x i32>, align 64",
        "  %block = lshr i64 %element, 3",
        "  %lead = and i64 %element, 7",
        f"  %all = call {type_} @philox_eight(i64 %seed, i64 %stream, i64 %block)",
        "  %even = icmp eq i64 %lead, 0",
        "  br i1 %even, label %done, label %odd",
        "odd:",
        "  %last = add i64 %block, 8",
        "  %more = call <4 x i64> @philox_block(i64 %seed, i64 %stream, i64 %last)",
    ]
    for part in range(4):
        lines += [
            f"  %v{part} = extractvalue {type_} %all, {part}",
            f"  %s{part} = getelementptr i32, ptr %space, i64 {16 * part}",
            f"  store {vector} %v{part}, ptr %s{part}, align 64",
        ]
    lines += ["  %end = getelementptr i32, ptr %space, i64 64", "  store <4 x i64> %more, ptr %end, align 32"]
    lines += ["  %base = getelementptr i32, ptr %space, i64 %lead"]
    result = "poison"
    for part in range(4):
        lines += [
            f"  %p{part} = getelementptr i32, ptr %base, i64 {16 * part}",
            f"  %l{part} = load {vector}, ptr %p{part}, align 4",
            f"  %r{part} = insertvalue {type_} {result}, {vector} %l{part}, {part}",
        ]
        result = f"%r{part}"
    lines += [
        "  br label %done",
        "done:",
        f"  %found = phi {type_} [ %all, %entry ], [ {result}, %odd ]",
        f"  ret {type_} %found",
        "}",
    ]
    return "\n".join(lines)


def helpers(width: int) -> str:
    """``philox_one(seed, stream, element)`` and ``philox_lanes`` of ``width`` elements from one on; of lanes of sixteen
    also ``philox_wide``, of ``WIDE`` elements."""
    one = """define internal i32 @philox_one(i64 %seed, i64 %stream, i64 %element) {
  %block = lshr i64 %element, 3
  %words = call <4 x i64> @philox_block(i64 %seed, i64 %stream, i64 %block)
  %halves = bitcast <4 x i64> %words to <8 x i32>
  %lane = and i64 %element, 7
  %bits = extractelement <8 x i32> %halves, i64 %lane
  ret i32 %bits
}"""
    blocks = width // 8  # a width is a multiple of eight
    wide = f"<{width} x i32>"
    lines = [
        f"define internal {wide} @philox_lanes(i64 %seed, i64 %stream, i64 %element) alwaysinline {{",
        "entry:",
        f"  %space = alloca <{8 * (blocks + 1)} x i32>, align 64",
        "  %block = lshr i64 %element, 3",
        "  %lead = and i64 %element, 7",
    ]
    for n in range(blocks):
        lines += [
            f"  %n{n} = add i64 %block, {n}",
            f"  %w{n} = call <4 x i64> @philox_block(i64 %seed, i64 %stream, i64 %n{n})",
            f"  %h{n} = bitcast <4 x i64> %w{n} to <8 x i32>",
        ]
    places = ", ".join(f"i32 {lane}" for lane in range(width))
    other = "%h1" if blocks == 2 else "poison"
    lines += [
        f"  %whole = shufflevector <8 x i32> %h0, <8 x i32> {other}, <{width} x i32> <{places}>",
        "  %even = icmp eq i64 %lead, 0",
        "  br i1 %even, label %done, label %odd",
        "odd:",
        f"  %last = add i64 %block, {blocks}",
        "  %more = call <4 x i64> @philox_block(i64 %seed, i64 %stream, i64 %last)",
        f"  %end = getelementptr i32, ptr %space, i64 {width}",
        f"  store {wide} %whole, ptr %space, align 64",
        "  store <4 x i64> %more, ptr %end, align 32",
        "  %first = getelementptr i32, ptr %space, i64 %lead",
        f"  %bits = load {wide}, ptr %first, align 4",
        "  br label %done",
        "done:",
        f"  %found = phi {wide} [ %whole, %entry ], [ %bits, %odd ]",
        f"  ret {wide} %found",
        "}",
    ]
    wide_ones = [_eight_blocks(), _wide()] if width == 16 else []
    return "\n".join([_block(), one, "\n".join(lines), *wide_ones])
