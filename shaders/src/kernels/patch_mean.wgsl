// Per image and column the mean over the tokens after the first `leading`: y[image, column] of x[image, token, column]; with `cls`
// y[image, .] is the first token and the mean side by side; or with `backward` the gradient to x, x being that to y.
//
// Settings: x the type of x and y; cls; backward. Bindings: x, y. Parameters: count of values written, columns, tokens, leading.
// Tile: one value an invocation: neighbours read neighbours. Tolerance: sums in a fixed order, 1e-6 of the largest magnitude;
// 1e-3 in f16.

struct Params { count: u32, columns: u32, tokens: u32, leading: u32 }
var<immediate> params: Params;
@group(0) @binding(0) var<storage, read> x: array<{{ x }}>;
@group(0) @binding(1) var<storage, read_write> y: array<{{ x }}>;
{% set beside = "params.columns" if cls else "0u" %}

{% include "list" %}
    if i >= params.count { return; }
    let patches = f32(params.tokens - params.leading);
    let width = params.columns + {{ beside }};
{% if backward %}
    let row = i / params.columns;
    let start = row / params.tokens * width + i % params.columns;
    let token = row % params.tokens;
    var value = 0.0;
    if token >= params.leading { value = f32(x[start + {{ beside }}]) / patches; }
{% if cls %}
    else if token == 0u { value = f32(x[start]); }
{% endif %}
    y[i] = {{ x }}(value);
{% else %}
    let start = i / width * params.tokens * params.columns;
    let place = i % width;
{% if cls %}
    if place < params.columns {
        y[i] = x[start + place];
        return;
    }
{% endif %}
    var sum = 0.0;
    for (var t = params.leading; t < params.tokens; t++) { sum += f32(x[start + t * params.columns + place - {{ beside }}]); }
    y[i] = {{ x }}(sum / patches);
{% endif %}
}
