// y = x in another type, element by element; or, in the same type, a copy.
//
// Settings: x, y the types. Bindings: x, y. Parameters: quads, the number of vec4s.
// Tile: one vec4 an invocation. Tolerance: half an ulp of y's type.

struct Params { quads: u32 }
var<immediate> params: Params;
@group(0) @binding(0) var<storage, read> x: array<vec4<{{ x }}>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<{{ y }}>>;

{% include "list" %}
    if i < params.quads { y[i] = vec4<{{ y }}>(x[i]); }
}
