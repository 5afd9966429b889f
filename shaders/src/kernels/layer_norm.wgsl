// y = (x - mean) * r * gain + bias for each row, and its statistics (mean, r = 1 / sqrt(variance + epsilon)); or without
// `affine` y = (x - mean) * r from statistics that are given (Ba et al. 2016).
//
// Settings: x, weight (of gain and bias), y the types; affine; vec whether columns is a multiple of 4; lanes 1 or 64.
// Bindings: affine: x, gain, bias, y, statistics; otherwise x, statistics, y. Parameters: rows, columns, epsilon.
// Tile: 64 lanes a row (neighbours read neighbours) where there are 64 lanes; one a row on a processor, where a barrier costs
// more than the row. The variance is taken about the mean in a second pass: no cancellation.
// Tolerance: 2e-6 of the largest value; 2e-3 where a type is f16.

struct Params { rows: u32, columns: u32, epsilon: f32 }
var<immediate> params: Params;
{% macro pack(type) %}{{ "vec4<" ~ type ~ ">" if vec else type }}{% endmacro %}
{% set f = "vec4<f32>" if vec else "f32" %}
@group(0) @binding(0) var<storage, read> x: array<{{ pack(x) }}>;
{% if affine %}
@group(0) @binding(1) var<storage, read> gain: array<{{ pack(weight) }}>;
@group(0) @binding(2) var<storage, read> bias: array<{{ pack(weight) }}>;
@group(0) @binding(3) var<storage, read_write> y: array<{{ pack(y) }}>;
@group(0) @binding(4) var<storage, read_write> statistics: array<vec2<f32>>;
{% else %}
@group(0) @binding(1) var<storage, read> statistics: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<{{ pack(y) }}>;
{% endif %}

{% include "total" %}

{% include "inside" %}

{% include "row" %}
    let columns = params.columns{{ " / 4u" if vec }};
    let start = row * columns;
{% if affine %}
    var part = 0.0;
    for (var i = lane; i < columns; i += {{ lanes }}u) { part += sum({{ f }}(x[start + i])); }
    let mean = total(part, lane) / f32(params.columns);
    part = 0.0;
    for (var i = lane; i < columns; i += {{ lanes }}u) {
        let away = {{ f }}(x[start + i]) - mean;
        part += sum(away * away);
    }
    let scale = 1.0 / sqrt(total(part, lane) / f32(params.columns) + params.epsilon);
    if lane == 0u { statistics[row] = vec2<f32>(mean, scale); }
    for (var i = lane; i < columns; i += {{ lanes }}u) {
        let value = ({{ f }}(x[start + i]) - mean) * scale;
        y[start + i] = {{ pack(y) }}(value * {{ f }}(gain[i]) + {{ f }}(bias[i]));
    }
{% else %}
    let s = statistics[row];
    for (var i = lane; i < columns; i += {{ lanes }}u) {
        y[start + i] = {{ pack(y) }}(({{ f }}(x[start + i]) - s.x) * s.y);
    }
{% endif %}
}
