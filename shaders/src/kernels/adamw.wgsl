// One AdamW step (Loshchilov & Hutter 2019) on weights w with gradient g and moments m and v, all f32.
//
// Settings: scaled whether gradients carry a loss scale; they are then divided by it, and nothing is done where one of the
// step's gradients was not finite. Bindings: g, w, m, v, and if scaled the scaler's state (see loss_scale.wgsl).
// Parameters: quads, the number of vec4s; beta1, beta2, keep = 1 - rate * decay, rate (bias of m taken out), unbias (of v), epsilon.
// Tile: one vec4 an invocation; bound by memory. Tolerance: 1e-6 of the weight plus 1e-5 of the step.

struct Params {
    quads: u32, beta1: f32, beta2: f32, keep: f32,
    rate: f32, unbias: f32, epsilon: f32,
    rest1: f32, rest2: f32,
}
var<immediate> params: Params;
@group(0) @binding(0) var<storage, read> g: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> w: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> m: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> v: array<vec4<f32>>;
{% if scaled %}
@group(0) @binding(4) var<storage, read_write> state: array<u32, 4>;
{% endif %}

{% include "list" %}
    if i >= params.quads { return; }
{% include "gradient" %}
    m[i] = m[i] * params.beta1 + gradient * params.rest1;
    v[i] = v[i] * params.beta2 + gradient * gradient * params.rest2;
    w[i] = w[i] * params.keep - params.rate * m[i] / (sqrt(v[i]) * params.unbias + params.epsilon);
}
