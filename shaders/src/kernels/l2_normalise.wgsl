// y = x / d for each row, d being its Euclidean norm or epsilon if that is larger; and the divisors d. With `backward`
// dx = (dy - y * sum(dy * y)) / d where d is the norm, dy / d where it is epsilon.
//
// Settings: x, y the types (of dy and dx with backward); vec whether columns is a multiple of 4; lanes 1 or 64; backward.
// Bindings: x, y, divisors; with backward dy, y, divisors, dx. Parameters: rows, columns, epsilon.
// Tile: as layer_norm. Tolerance: 2e-6 of the largest value; 2e-3 where a type is f16.

struct Params { rows: u32, columns: u32, epsilon: f32 }
var<immediate> params: Params;
{% macro pack(type) %}{{ "vec4<" ~ type ~ ">" if vec else type }}{% endmacro %}
{% set f = "vec4<f32>" if vec else "f32" %}
{% if backward %}
@group(0) @binding(0) var<storage, read> dy: array<{{ pack(x) }}>;
@group(0) @binding(1) var<storage, read> y: array<{{ pack(y) }}>;
@group(0) @binding(2) var<storage, read> divisors: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<{{ pack(x) }}>;
{% else %}
@group(0) @binding(0) var<storage, read> x: array<{{ pack(x) }}>;
@group(0) @binding(1) var<storage, read_write> y: array<{{ pack(y) }}>;
@group(0) @binding(2) var<storage, read_write> divisors: array<f32>;
{% endif %}

{% include "total" %}

{% include "inside" %}

{% include "row" %}
    let columns = params.columns{{ " / 4u" if vec }};
    let start = row * columns;
    var part = 0.0;
{% if backward %}
    for (var i = lane; i < columns; i += {{ lanes }}u) { part += sum({{ f }}(dy[start + i]) * {{ f }}(y[start + i])); }
    let along = total(part, lane);
    let divisor = divisors[row];
    let kept = select(along, 0.0, divisor <= params.epsilon);
    for (var i = lane; i < columns; i += {{ lanes }}u) {
        dx[start + i] = {{ pack(x) }}(({{ f }}(dy[start + i]) - {{ f }}(y[start + i]) * kept) / divisor);
    }
{% else %}
    for (var i = lane; i < columns; i += {{ lanes }}u) {
        let value = {{ f }}(x[start + i]);
        part += sum(value * value);
    }
    let norm = sqrt(total(part, lane));
    let divisor = select(norm, params.epsilon, norm < params.epsilon);
    if lane == 0u { divisors[row] = divisor; }
    for (var i = lane; i < columns; i += {{ lanes }}u) { y[start + i] = {{ pack(y) }}({{ f }}(x[start + i]) / divisor); }
{% endif %}
}
