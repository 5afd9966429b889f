// For each image its tokens [images*tokens, columns]: with `cls` a row for the whole image, then the registers, then its patches;
// with `positions` plus a row of these for the first and for each patch. Or with `backward` the rows of x but the registers': of
// the gradient to an image's tokens that to the positions.
//
// Settings: x (patches), weight (cls, registers and positions), y the types; cls, registers, positions; backward.
// Bindings: x, as far as there are any cls, registers and positions, y; backward: x, y.
// Parameters: count of values written; columns; registers and patches of an image. Tile: one value an invocation.
// Tolerance: one rounding.

struct Params { count: u32, columns: u32, registers: u32, patches: u32 }
var<immediate> params: Params;
{% if backward %}
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

{% include "list" %}
    if i >= params.count { return; }
    y[i] = x[i + select(params.registers * params.columns, 0u, i / params.columns < {{ cls|int }}u)];
}
{% else %}
@group(0) @binding(0) var<storage, read> x: array<{{ x }}>;
{% if cls %}
@group(0) @binding(1) var<storage, read> cls: array<{{ weight }}>;
{% endif %}
{% if registers %}
@group(0) @binding({{ 1 + cls|int }}) var<storage, read> registers: array<{{ weight }}>;
{% endif %}
{% if positions %}
@group(0) @binding({{ 1 + cls|int + registers|int }}) var<storage, read> positions: array<{{ weight }}>;
{% endif %}
@group(0) @binding({{ 1 + cls|int + registers|int + positions|int }}) var<storage, read_write> y: array<{{ y }}>;

{% include "list" %}
    if i >= params.count { return; }
    let leading = params.registers + {{ cls|int }}u;
    let tokens = leading + params.patches;
    let column = i % params.columns;
    let token = i / params.columns % tokens;
    let image = i / (params.columns * tokens);
    var value = 0.0;
    if token >= leading {
        value = f32(x[(image * params.patches + token - leading) * params.columns + column]);
{% if positions %}
        value += f32(positions[(token - params.registers) * params.columns + column]);
{% endif %}
    }
{% if cls %}
    if token == 0u {
        value = f32(cls[column]){{ " + f32(positions[column])" if positions }};
    }
{% endif %}
{% if registers %}
    if token >= {{ cls|int }}u && token < leading {
        value = f32(registers[(token - {{ cls|int }}u) * params.columns + column]);
    }
{% endif %}
    y[i] = {{ y }}(value);
}
{% endif %}
