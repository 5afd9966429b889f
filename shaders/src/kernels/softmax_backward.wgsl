// dx = y * (dy - sum(dy * y)) for each row of y = softmax(x), rows being `stride` apart; zero between a row's end and the next.
//
// Settings: dy, y, dx the types; vec whether stride is a multiple of 4; lanes 1 or 64. Bindings: dy, y, dx.
// Parameters: rows, columns, stride. Tile: as softmax. Tolerance: 2e-6 of the largest dy; 2e-3 where a type is f16.

struct Params { rows: u32, columns: u32, stride: u32 }
var<immediate> params: Params;
{% macro pack(type) %}{{ "vec4<" ~ type ~ ">" if vec else type }}{% endmacro %}
{% set f = "vec4<f32>" if vec else "f32" %}
@group(0) @binding(0) var<storage, read> dy: array<{{ pack(dy) }}>;
@group(0) @binding(1) var<storage, read> y: array<{{ pack(y) }}>;
@group(0) @binding(2) var<storage, read_write> dx: array<{{ pack(dx) }}>;

{% include "total" %}

{% include "inside" %}

{% include "row" %}
    let stride = params.stride{{ " / 4u" if vec }};
    let start = row * stride;
    var part = 0.0;
    for (var i = lane; i < stride; i += {{ lanes }}u) {
        part += sum(select({{ f }}(), {{ f }}(dy[start + i]) * {{ f }}(y[start + i]), inside(i)));
    }
    let delta = total(part, lane);
    for (var i = lane; i < stride; i += {{ lanes }}u) {
        let value = {{ f }}(y[start + i]) * ({{ f }}(dy[start + i]) - delta);
        dx[start + i] = {{ pack(dx) }}(select({{ f }}(), value, inside(i)));
    }
}
