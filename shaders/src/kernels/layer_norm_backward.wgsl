// dx = r * (g - mean(g) - n * mean(g * n)) with g = dy * gain, n = (x - mean) * r, statistics (mean, r) per row.
//
// Settings: dy (and dx), x, gain the types; vec whether columns is a multiple of 4; lanes 1 or 64.
// Bindings: dy, x, statistics, gain, dx. Parameters: rows, columns.
// Tile: as layer_norm. Tolerance: 5e-6 of the largest value; 5e-3 where a type is f16.

struct Params { rows: u32, columns: u32 }
var<immediate> params: Params;
{% macro pack(type) %}{{ "vec4<" ~ type ~ ">" if vec else type }}{% endmacro %}
{% set f = "vec4<f32>" if vec else "f32" %}
@group(0) @binding(0) var<storage, read> dy: array<{{ pack(dy) }}>;
@group(0) @binding(1) var<storage, read> x: array<{{ pack(x) }}>;
@group(0) @binding(2) var<storage, read> statistics: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read> gain: array<{{ pack(gain) }}>;
@group(0) @binding(4) var<storage, read_write> dx: array<{{ pack(dy) }}>;

{% include "total" %}

{% include "inside" %}

{% include "row" %}
    let columns = params.columns{{ " / 4u" if vec }};
    let start = row * columns;
    let s = statistics[row];
    var part = 0.0;
    var part_n = 0.0;
    for (var i = lane; i < columns; i += {{ lanes }}u) {
        let g = {{ f }}(dy[start + i]) * {{ f }}(gain[i]);
        part += sum(g);
        part_n += sum(g * ({{ f }}(x[start + i]) - s.x));
    }
    let mean = total(part, lane) / f32(params.columns);
    let mean_n = total(part_n, lane) * s.y / f32(params.columns);
    for (var i = lane; i < columns; i += {{ lanes }}u) {
        let g = {{ f }}(dy[start + i]) * {{ f }}(gain[i]);
        let n = ({{ f }}(x[start + i]) - s.x) * s.y;
        dx[start + i] = {{ pack(dy) }}(s.y * (g - mean - n * mean_n));
    }
}
