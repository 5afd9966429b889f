// One step of gradient descent with momentum: v = momentum v + g + decay w; w -= rate v, all f32.
//
// Settings: scaled whether gradients carry a loss scale, as in adamw.wgsl. Bindings: g, w, v, and if scaled the scaler's state.
// Parameters: quads, the number of vec4s; rate, momentum, decay. Tile: one vec4 an invocation. Tolerance: 1e-6.

struct Params { quads: u32, rate: f32, momentum: f32, decay: f32 }
var<immediate> params: Params;
@group(0) @binding(0) var<storage, read> g: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> w: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> v: array<vec4<f32>>;
{% if scaled %}
@group(0) @binding(3) var<storage, read_write> state: array<u32, 4>;
{% endif %}

{% include "list" %}
    if i >= params.quads { return; }
{% include "gradient" %}
    v[i] = params.momentum * v[i] + gradient + params.decay * w[i];
    w[i] = w[i] - params.rate * v[i];
}
