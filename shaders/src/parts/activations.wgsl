// The activation and its slope: 1 GELU, x * Phi(x); otherwise x * sigmoid(inner(x)): 2 quick-GELU, 3 GELU by tanh, 4 SiLU.
{% if activation == 1 %}
// Phi(x), given exp(-x*x/2). Abramowitz & Stegun, formula 7.1.26: within 3e-7.
fn below(x: vec4<f32>, density: vec4<f32>) -> vec4<f32> {
    let t = 1.0 / (1.0 + 0.3275911 * 0.70710678 * abs(x));
    let poly = t * (0.2548296 + t * (-0.28449672 + t * (1.4214138 + t * (-1.4531521 + t * 1.0614054))));
    let upper = 0.5 * poly * density;
    return select(1.0 - upper, upper, x < vec4<f32>());
}

fn activate(x: vec4<f32>) -> vec4<f32> {
    return x * below(x, exp(-0.5 * x * x));
}

fn slope(x: vec4<f32>) -> vec4<f32> {
    let density = exp(-0.5 * x * x);
    return below(x, density) + x * 0.3989422804 * density;
}
{% else %}
fn inner(x: vec4<f32>) -> vec4<f32> {
{% if activation == 2 %}
    return 1.702 * x;
{% elif activation == 3 %}
    // sqrt(8 / pi) (x + 0.044715 x^3): (1 + tanh(t)) / 2 is sigmoid(2 t).
    return 1.5957691216 * x * (1.0 + 0.044715 * x * x);
{% elif activation == 4 %}
    return x;
{% endif %}
}

fn inner_slope(x: vec4<f32>) -> vec4<f32> {
{% if activation == 2 %}
    return vec4<f32>(1.702);
{% elif activation == 3 %}
    return 1.5957691216 * (1.0 + 3.0 * 0.044715 * x * x);
{% elif activation == 4 %}
    return vec4<f32>(1.0);
{% endif %}
}

fn activate(x: vec4<f32>) -> vec4<f32> {
    return x / (1.0 + exp(-inner(x)));
}

fn slope(x: vec4<f32>) -> vec4<f32> {
    let s = 1.0 / (1.0 + exp(-inner(x)));
    return s + x * inner_slope(x) * s * (1.0 - s);
}
{% endif %}
