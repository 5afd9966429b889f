// y = f(x), or with `backward` dx = dy f'(x), element by element. f(x) = x * Phi(x), Phi being the normal distribution
// function (GELU, Hendrycks & Gimpel 2016), or with `quick` f(x) = x * sigmoid(1.702 x).
//
// Settings: x, y the types of the input and of what is written (and of dy); quick; backward.
// Bindings: 0 x, with `backward` 1 dy, last y. Parameters: quads, the number of vec4s.
// Tile: one vec4 an invocation; the kernel is bound by memory.
// Tolerance: Phi by Abramowitz & Stegun, formula 7.1.26, is within 3e-7; 1e-6 relative to the largest value, 1e-3 in f16.

struct Params { quads: u32 }
var<immediate> params: Params;
@group(0) @binding(0) var<storage, read> x: array<vec4<{{ x }}>>;
{% if backward %}
@group(0) @binding(1) var<storage, read> dy: array<vec4<{{ y }}>>;
{% endif %}
@group(0) @binding({{ 2 if backward else 1 }}) var<storage, read_write> y: array<vec4<{{ y }}>>;

{% if quick %}
fn f(x: vec4<f32>) -> vec4<f32> {
    return x / (1.0 + exp(-1.702 * x));
}

fn slope(x: vec4<f32>) -> vec4<f32> {
    let s = 1.0 / (1.0 + exp(-1.702 * x));
    return s + 1.702 * x * s * (1.0 - s);
}
{% else %}
// Phi(x), given the density's exponential.
fn below(x: vec4<f32>, density: vec4<f32>) -> vec4<f32> {
    let t = 1.0 / (1.0 + 0.3275911 * 0.70710678 * abs(x));
    let poly = t * (0.2548296 + t * (-0.28449672 + t * (1.4214138 + t * (-1.4531521 + t * 1.0614054))));
    let upper = 0.5 * poly * density;
    return select(1.0 - upper, upper, x < vec4<f32>(0.0));
}

fn f(x: vec4<f32>) -> vec4<f32> {
    return x * below(x, exp(-0.5 * x * x));
}

fn slope(x: vec4<f32>) -> vec4<f32> {
    let density = exp(-0.5 * x * x);
    return below(x, density) + x * 0.3989422804 * density;
}
{% endif %}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.x + id.y * groups.x * 64u;
    if i >= params.quads { return; }
    let value = vec4<f32>(x[i]);
{% if backward %}
    y[i] = vec4<{{ y }}>(vec4<f32>(dy[i]) * slope(value));
{% else %}
    y[i] = vec4<{{ y }}>(f(value));
{% endif %}
}
