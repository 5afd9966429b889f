// y = x * Phi(x), element by element, Phi being the normal distribution function (Hendrycks & Gimpel 2016).
//
// Bindings: 0 x, 1 y. Dispatch ceil(length/256) groups, in two dimensions where that exceeds 65,535.
// Tile: one value an invocation; the kernel is bound by memory.
// Tolerance: the error function by Abramowitz & Stegun, formula 7.1.26: Phi is within 3e-7.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.y * groups.x * 256u + id.x;
    if i >= arrayLength(&x) { return; }
    let value = x[i];
    let t = 1.0 / (1.0 + 0.3275911 * 0.70710678 * abs(value));
    let poly = t * (0.2548296 + t * (-0.28449672 + t * (1.4214138 + t * (-1.4531521 + t * 1.0614054))));
    let upper = 0.5 * poly * exp(-0.5 * value * value);
    y[i] = value * select(1.0 - upper, upper, value < 0.0);
}
