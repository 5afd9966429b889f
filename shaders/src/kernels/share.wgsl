// y = total / max(count, 1), element by element.
//
// Bindings: total, count, y. Parameters: quads, the number of vec4s. Tile: one vec4 an invocation. Tolerance: one rounding.

struct Params { quads: u32 }
var<immediate> params: Params;
@group(0) @binding(0) var<storage, read> total: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> count: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

{% include "list" %}
    if i < params.quads { y[i] = total[i] / max(count[i], vec4<f32>(1.0)); }
}
