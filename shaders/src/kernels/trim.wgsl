// y = x where |x| is no smaller than a magnitude, zero elsewhere.
//
// Bindings: x as bits, state (the magnitude's bits), y as bits. Parameters: count of values.
// Tile: one value an invocation. Tolerance: none. A NaN stays.

struct Params { count: u32 }
var<immediate> params: Params;
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read> state: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

{% include "list" %}
    if i >= params.count { return; }
    let bits = x[i] & 0x7fffffffu;
    y[i] = select(0u, x[i], bits >= state[0] || bits > 0x7f800000u);
}
