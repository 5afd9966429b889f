// For each image the CLS row, then its patches [batch*tokens, columns], each plus its row of positions.
//
// Settings: x (patches), weight (cls and positions), y the types. Bindings: x, cls, positions, y.
// Parameters: count of values written, tokens, columns. Tile: one value an invocation. Tolerance: one rounding.

struct Params { count: u32, tokens: u32, columns: u32 }
var<immediate> params: Params;
@group(0) @binding(0) var<storage, read> x: array<{{ x }}>;
@group(0) @binding(1) var<storage, read> cls: array<{{ weight }}>;
@group(0) @binding(2) var<storage, read> positions: array<{{ weight }}>;
@group(0) @binding(3) var<storage, read_write> y: array<{{ y }}>;

{% include "list" %}
    if i >= params.count { return; }
    let column = i % params.columns;
    let token = i / params.columns % params.tokens;
    let image = i / (params.columns * params.tokens);
    var value = f32(positions[token * params.columns + column]);
    if token == 0u {
        value += f32(cls[column]);
    } else {
        value += f32(x[(image * (params.tokens - 1u) + token - 1u) * params.columns + column]);
    }
    y[i] = {{ y }}(value);
}
