// y = f(g) * u, element by element, f being the activation (gated linear units, Shazeer 2020); or with `backward` dg = dy u f'(g)
// and du = dy f(g).
//
// Settings: g, u, y the types (y's is that of dy, dg and du too); activation, 1 to 4 (see parts/activations.wgsl); backward.
// Bindings: g, u, y; backward: g, u, dy, dg, du. Parameters: quads, the number of vec4s.
// Tile: one vec4 an invocation; bound by memory, so that the activation is computed again in the backward pass.
// Tolerance: 1e-6 relative to the largest value; 2e-3 where a type is f16.

struct Params { quads: u32 }
var<immediate> params: Params;
@group(0) @binding(0) var<storage, read> g: array<vec4<{{ g }}>>;
@group(0) @binding(1) var<storage, read> u: array<vec4<{{ u }}>>;
{% if backward %}
@group(0) @binding(2) var<storage, read> dy: array<vec4<{{ y }}>>;
@group(0) @binding(3) var<storage, read_write> dg: array<vec4<{{ y }}>>;
@group(0) @binding(4) var<storage, read_write> du: array<vec4<{{ y }}>>;
{% else %}
@group(0) @binding(2) var<storage, read_write> y: array<vec4<{{ y }}>>;
{% endif %}

{% include "activations" %}

{% include "list" %}
    if i >= params.quads { return; }
    let gate = vec4<f32>(g[i]);
    let value = vec4<f32>(u[i]);
{% if backward %}
    let gradient = vec4<f32>(dy[i]);
    dg[i] = vec4<{{ y }}>(gradient * value * slope(gate));
    du[i] = vec4<{{ y }}>(gradient * activate(gate));
{% else %}
    y[i] = vec4<{{ y }}>(activate(gate) * value);
{% endif %}
}
