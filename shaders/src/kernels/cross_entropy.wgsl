// Per row of logits[rows, classes]: softmax p, and the negative log-likelihood of the row's label.
//
// Settings: x the logits' type; the rest is f32. Bindings: x, labels (u32), losses, p. Parameters: rows, classes.
// Tile: one row an invocation: classes are few. Tolerance: 1e-6 relative to the largest logit.

struct Params { rows: u32, classes: u32 }
var<immediate> params: Params;
@group(0) @binding(0) var<storage, read> x: array<{{ x }}>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read_write> losses: array<f32>;
@group(0) @binding(3) var<storage, read_write> p: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let row = id.x + id.y * groups.x * 64u;
    if row >= params.rows { return; }
    let start = row * params.classes;
    var largest = -3.0e38;
    // A logit that is no number, or 0: added at the end, since drivers may lose it in max, exp and log.
    var broken = 0.0;
    for (var i = 0u; i < params.classes; i++) {
        let value = f32(x[start + i]);
        largest = max(largest, value);
        if (bitcast<u32>(value) & 0x7fffffffu) > 0x7f800000u { broken = value; }
    }
    var sum = 0.0;
    for (var i = 0u; i < params.classes; i++) {
        let value = exp(f32(x[start + i]) - largest);
        p[start + i] = value;
        sum += value;
    }
    for (var i = 0u; i < params.classes; i++) { p[start + i] = p[start + i] / sum + broken; }
    losses[row] = log(sum) + largest - f32(x[start + labels[row]]) + broken;
}
