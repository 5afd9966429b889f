// Copies rows: y's row i is x's row (i / run) * stride + first + i % run; or with `backward` y's row i is x's row i / stride
// where i is a multiple of stride, and zero elsewhere (the gradient of taking the first of every `stride` rows).
//
// Settings: x, y the types; backward. Bindings: x, y. Parameters: count of values written, columns, run, stride, first.
// Tile: one value an invocation; bound by memory. Tolerance: none but y's type.

struct Params { count: u32, columns: u32, run: u32, stride: u32, first: u32 }
var<immediate> params: Params;
@group(0) @binding(0) var<storage, read> x: array<{{ x }}>;
@group(0) @binding(1) var<storage, read_write> y: array<{{ y }}>;

{% include "list" %}
    if i >= params.count { return; }
    let row = i / params.columns;
    let column = i % params.columns;
{% if backward %}
    let value = {{ y }}(x[row / params.stride * params.columns + column]);
    y[i] = select({{ y }}(), value, row % params.stride == 0u);
{% else %}
    let from_row = row / params.run * params.stride + params.first + row % params.run;
    y[i] = {{ y }}(x[from_row * params.columns + column]);
{% endif %}
}
