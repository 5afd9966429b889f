// z = x + y, z = x + y * scale, or without `sum` z = y * scale, scale having one value per column (LayerScale).
//
// Settings: x, y, scale, z the types; sum; scaled; vec whether columns is a multiple of 4, so that a vec4 lies in one row.
// Bindings: x if sum, y, scale if scaled, z. Parameters: count of vec4s (or of values without vec); columns, in the same unit.
// Tile: one vec4 (one value) an invocation; bound by memory. Tolerance: one rounding to f32, half an ulp of z's type.

struct Params { count: u32, columns: u32 }
var<immediate> params: Params;
{% macro pack(type) %}{{ "vec4<" ~ type ~ ">" if vec else type }}{% endmacro %}
{% set f = "vec4<f32>" if vec else "f32" %}
{% if sum %}
@group(0) @binding(0) var<storage, read> x: array<{{ pack(x) }}>;
{% endif %}
@group(0) @binding({{ 1 if sum else 0 }}) var<storage, read> y: array<{{ pack(y) }}>;
{% if scaled %}
@group(0) @binding({{ 2 if sum else 1 }}) var<storage, read> scale: array<{{ pack(scale) }}>;
{% endif %}
@group(0) @binding({{ 1 + sum|int + scaled|int }}) var<storage, read_write> z: array<{{ pack(z) }}>;

{% include "list" %}
    if i >= params.count { return; }
    var value = {{ f }}(y[i]);
{% if scaled %}
    value *= {{ f }}(scale[i % params.columns]);
{% endif %}
{% if sum %}
    value += {{ f }}(x[i]);
{% endif %}
    z[i] = {{ pack(z) }}(value);
}
