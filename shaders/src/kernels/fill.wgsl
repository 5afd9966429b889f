// y = value, element by element.
//
// Settings: y the type of what is written. Bindings: y. Parameters: quads, the number of vec4s; value.
// Tile: one vec4 an invocation. Tolerance: none, the value is written as it is.

struct Params { quads: u32, value: f32 }
var<immediate> params: Params;
@group(0) @binding(0) var<storage, read_write> y: array<vec4<{{ y }}>>;

{% include "list" %}
    if i < params.quads { y[i] = vec4<{{ y }}>(vec4<f32>(params.value)); }
}
