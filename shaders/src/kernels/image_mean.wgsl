// The mean of all values of each image.
//
// Bindings: x [batch, values], means. Parameters: values. Dispatch: one group of 64 lanes an image.
// Tile: lanes stride through the image and are added up by a tree. Tolerance: 2e-6 of the largest value.

struct Params { values: u32 }
var<immediate> params: Params;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> means: array<f32>;

{% set lanes = 64 %}
{% include "total" %}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) index: u32) {
    let start = group.x * params.values;
    var part = 0.0;
    for (var i = index; i < params.values; i += 64u) { part += x[start + i]; }
    let sum = total(part, index);
    if index == 0u { means[group.x] = sum / f32(params.values); }
}
