// The activation and its slope: x * Phi(x), or with `quick` x * sigmoid(1.702 x).
{% if quick %}
fn activate(x: vec4<f32>) -> vec4<f32> {
    return x / (1.0 + exp(-1.702 * x));
}

fn slope(x: vec4<f32>) -> vec4<f32> {
    let s = 1.0 / (1.0 + exp(-1.702 * x));
    return s + 1.702 * x * s * (1.0 - s);
}
{% else %}
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
{% endif %}
