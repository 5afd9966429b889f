// Notes in the loss scaler's state that a gradient is not finite.
//
// Bindings: g, state. Parameters: count of values.
// Tile: one value an invocation; a store only where something is wrong. Tolerance: none.

struct Params { count: u32 }
var<immediate> params: Params;
@group(0) @binding(0) var<storage, read> g: array<u32>;
@group(0) @binding(1) var<storage, read_write> state: array<atomic<u32>, 4>;

{% include "list" %}
    if i >= params.count { return; }
    // All bits of the exponent set: infinite or not a number.
    if (g[i] & 0x7f800000u) == 0x7f800000u { atomicStore(&state[2], 1u); }
}
