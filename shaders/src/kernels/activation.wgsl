// y = f(x), or with `backward` dx = dy f'(x), element by element. f is the activation: x * Phi(x), Phi being the normal
// distribution function (GELU, Hendrycks & Gimpel 2016), or one of those with a sigmoid in Phi's place.
//
// Settings: x, y the types of the input and of what is written (and of dy); activation, 1 to 4 (see parts/activations.wgsl);
// backward.
// Bindings: 0 x, with `backward` 1 dy, last y. Parameters: quads, the number of vec4s.
// Tile: one vec4 an invocation; the kernel is bound by memory.
// Tolerance: 1e-6 relative to the largest value; 1e-3 where a type is f16.

struct Params { quads: u32 }
var<immediate> params: Params;
@group(0) @binding(0) var<storage, read> x: array<vec4<{{ x }}>>;
{% if backward %}
@group(0) @binding(1) var<storage, read> dy: array<vec4<{{ y }}>>;
{% endif %}
@group(0) @binding({{ 2 if backward else 1 }}) var<storage, read_write> y: array<vec4<{{ y }}>>;

{% include "activations" %}

{% include "list" %}
    if i >= params.quads { return; }
    let value = vec4<f32>(x[i]);
{% if backward %}
    y[i] = vec4<{{ y }}>(vec4<f32>(dy[i]) * slope(value));
{% else %}
    y[i] = vec4<{{ y }}>(activate(value));
{% endif %}
}
