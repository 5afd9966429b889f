// y = softmax(x) for each row of `columns` values, rows being `stride` apart; zero between a row's end and the next.
//
// Settings: x, y the types; vec whether stride is a multiple of 4; lanes 1 or 64. Bindings: x, y.
// Parameters: rows, columns, stride.
// Tile: as layer_norm: 64 lanes a row, or one a row on a processor. The largest value is taken out first.
// Tolerance: 2e-6 of 1; 1e-3 where a type is f16.

struct Params { rows: u32, columns: u32, stride: u32 }
var<immediate> params: Params;
{% macro pack(type) %}{{ "vec4<" ~ type ~ ">" if vec else type }}{% endmacro %}
{% set f = "vec4<f32>" if vec else "f32" %}
@group(0) @binding(0) var<storage, read> x: array<{{ pack(x) }}>;
@group(0) @binding(1) var<storage, read_write> y: array<{{ pack(y) }}>;

{% include "total" %}

{% include "inside" %}

{% if lanes > 1 %}
fn largest_of(value: f32, lane: u32) -> f32 {
    workgroupBarrier();
    partial[lane] = value;
    workgroupBarrier();
    for (var step = {{ lanes // 2 }}u; step > 0u; step /= 2u) {
        if lane < step { partial[lane] = max(partial[lane], partial[lane + step]); }
        workgroupBarrier();
    }
    return partial[0];
}
{% else %}
fn largest_of(value: f32, lane: u32) -> f32 {
    return value;
}
{% endif %}

{% include "row" %}
    let stride = params.stride{{ " / 4u" if vec }};
    let start = row * stride;
    var most = -3.0e38;
    for (var i = lane; i < stride; i += {{ lanes }}u) {
        let value = select({{ f }}(-3.0e38), {{ f }}(x[start + i]), inside(i));
{% if vec %}
        most = max(most, max(max(value.x, value.y), max(value.z, value.w)));
{% else %}
        most = max(most, value);
{% endif %}
    }
    most = largest_of(most, lane);
    var part = 0.0;
    for (var i = lane; i < stride; i += {{ lanes }}u) {
        part += sum(select({{ f }}(), exp({{ f }}(x[start + i]) - most), inside(i)));
    }
    let share = 1.0 / total(part, lane);
    for (var i = lane; i < stride; i += {{ lanes }}u) {
        y[start + i] = {{ pack(y) }}(select({{ f }}(), exp({{ f }}(x[start + i]) - most) * share, inside(i)));
    }
}
