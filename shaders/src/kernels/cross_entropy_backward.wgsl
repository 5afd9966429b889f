// dx = (p - one at the label) * dy / rows, the gradient of the mean cross-entropy, dy being one value.
//
// Settings: x the type of dx. Bindings: p, labels (u32), dy, dx. Parameters: count of values, classes, rows.
// Tile: one value an invocation. Tolerance: 1e-6; half an ulp of dx's type.

struct Params { count: u32, classes: u32, rows: u32 }
var<immediate> params: Params;
@group(0) @binding(0) var<storage, read> p: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<{{ x }}>;

{% include "list" %}
    if i >= params.count { return; }
    let truth = select(0.0, 1.0, labels[i / params.classes] == i % params.classes);
    dx[i] = {{ x }}((p[i] - truth) * dy[0] / f32(params.rows));
}
