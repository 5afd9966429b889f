// Images with a rectangle set to zero, one each.
//
// Bindings: x [batch, 3, height, width], cut (top, left, bottom, right an image, the last two not included), y.
// Parameters: count of values, height, width. Tile: one value an invocation. Tolerance: none.

struct Params { count: u32, height: u32, width: u32 }
var<immediate> params: Params;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> cut: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

{% include "list" %}
    if i >= params.count { return; }
    let c = cut[i / (3u * params.height * params.width)];
    let row = i / params.width % params.height;
    let column = i % params.width;
    y[i] = select(x[i], 0.0, row >= c.x && row < c.z && column >= c.y && column < c.w);
}
