// y += alpha * x, element by element.
//
// Settings: x, y the types. Bindings: x, y. Parameters: quads, the number of vec4s; alpha.
// Tile: one vec4 an invocation; bound by memory. Tolerance: one rounding to f32, and half an ulp of y's type.

struct Params { quads: u32, alpha: f32 }
var<immediate> params: Params;
@group(0) @binding(0) var<storage, read> x: array<vec4<{{ x }}>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<{{ y }}>>;

{% include "list" %}
    if i < params.quads { y[i] = vec4<{{ y }}>(vec4<f32>(y[i]) + params.alpha * vec4<f32>(x[i])); }
}
