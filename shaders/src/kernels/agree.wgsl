// For one of the changes that are merged: adds weight * x to the total and 1 to the count where its sign is that of the sum.
//
// Bindings: sum, x, total, count. Parameters: quads, the number of vec4s; weight.
// Tile: one vec4 an invocation; bound by memory. Tolerance: one rounding to f32. Where the sum is NaN the total becomes NaN.

struct Params { quads: u32, weight: f32 }
var<immediate> params: Params;
@group(0) @binding(0) var<storage, read> sum: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> total: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> count: array<vec4<f32>>;

{% include "list" %}
    if i >= params.quads { return; }
    let elected = sum[i];
    let value = params.weight * x[i];
    let none = vec4<f32>();
    let same = ((value > none) & (elected > none)) | ((value < none) & (elected < none));
    let broken = (bitcast<vec4<u32>>(elected) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
    total[i] = select(total[i] + select(none, value, same), elected, broken);
    count[i] += select(none, vec4<f32>(1.0), same);
}
