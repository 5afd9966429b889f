// Per image and column the mean and the standard deviation over the tokens after the first `leading`: y[image, mean or deviation,
// column] of x[image, token, column], the deviation being sqrt(variance + epsilon); or with `backward` the gradient to x.
//
// Settings: x, y the types of x (and its gradient) and dy; backward. The moments are f32. Bindings: x, y; backward: dy, x, y, dx.
// Parameters: count of invocations that write, columns, tokens, leading, epsilon. Tile: forward one invocation a column of an
// image, which reads it twice; backward one a value. Tolerance: sums in a fixed order, 1e-6 of the largest magnitude; 2e-3 where
// a type is f16.

struct Params { count: u32, columns: u32, tokens: u32, leading: u32, epsilon: f32 }
var<immediate> params: Params;
{% if backward %}
@group(0) @binding(0) var<storage, read> dy: array<{{ y }}>;
@group(0) @binding(1) var<storage, read> x: array<{{ x }}>;
@group(0) @binding(2) var<storage, read> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<{{ x }}>;
{% else %}
@group(0) @binding(0) var<storage, read> x: array<{{ x }}>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
{% endif %}

{% include "list" %}
    if i >= params.count { return; }
    let column = i % params.columns;
    let patches = f32(params.tokens - params.leading);
{% if backward %}
    let row = i / params.columns;
    let mean_at = row / params.tokens * 2u * params.columns + column;
    let deviation_at = mean_at + params.columns;
    let slope = f32(dy[deviation_at]) * (f32(x[i]) - y[mean_at]) / y[deviation_at];
    dx[i] = {{ x }}(select((f32(dy[mean_at]) + slope) / patches, 0.0, row % params.tokens < params.leading));
{% else %}
    let image = i / params.columns;
    let start = image * params.tokens * params.columns + column;
    var sum = 0.0;
    for (var t = params.leading; t < params.tokens; t++) { sum += f32(x[start + t * params.columns]); }
    let mean = sum / patches;
    var square = 0.0;
    for (var t = params.leading; t < params.tokens; t++) {
        let off = f32(x[start + t * params.columns]) - mean;
        square += off * off;
    }
    let mean_at = image * 2u * params.columns + column;
    y[mean_at] = mean;
    y[mean_at + params.columns] = sqrt(square / patches + params.epsilon);
{% endif %}
}
