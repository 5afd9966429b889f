// Images [batch, 3, height, width] under affine maps, one each: bilinear, zeros around the source; with `backward` the
// gradient, in which a source pixel gathers from the output pixels that read it: no atomics, so the same sum every time.
//
// Settings: backward. Bindings: x, maps (6 f32 an image: output pixel to source, in pixels from the centre), y.
// Parameters: batch, height, width. Dispatch: one invocation a pixel.
// Tile: one pixel an invocation, its three channels together: the weights are worked out once. The readers of a source pixel
// lie in the bounding box of the parallelogram that the map's inverse makes of the square of side 2 around it.
// Tolerance: positions are f32, so 1e-4 of the largest value for images of a few hundred pixels.

struct Params { batch: u32, height: u32, width: u32 }
var<immediate> params: Params;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> maps: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

{% include "list" %}
    let pixels = params.height * params.width;
    if i >= params.batch * pixels { return; }
    let image = i / pixels;
    let at = i % pixels;
    let m = image * 6u;
    // Columns of the matrix, so that the product is forward * position.
    let forward = mat2x2<f32>(maps[m], maps[m + 3u], maps[m + 1u], maps[m + 4u]);
    let shift = vec2<f32>(maps[m + 2u], maps[m + 5u]);
    let centre = (vec2<f32>(f32(params.width), f32(params.height)) - 1.0) / 2.0;
    let here = vec2<f32>(f32(at % params.width), f32(at / params.width));
    let last = vec2<i32>(i32(params.width), i32(params.height)) - 1;
{% if backward %}
    let scale = 1.0 / determinant(forward);
    let inverse = mat2x2<f32>(forward[1].y, -forward[0].y, -forward[1].x, forward[0].x) * scale;
    let middle = inverse * (here - centre - shift) + centre;
    // A margin for rounding: a pixel just outside the box has next to no weight, but must not be missed.
    let reach = abs(inverse[0]) + abs(inverse[1]) + 1e-2;
    let low = clamp(ceil(middle - reach), vec2<f32>(), vec2<f32>(last) + 1.0);
    let high = clamp(floor(middle + reach), vec2<f32>(-1.0), vec2<f32>(last));
    let first = vec2<i32>(low);
    let end = vec2<i32>(high);
{% else %}
    let place = forward * (here - centre) + shift + centre;
    let corner = clamp(floor(place), vec2<f32>(-2.0), vec2<f32>(last) + 1.0);
    let first = clamp(vec2<i32>(corner), vec2<i32>(0), last + 1);
    let end = clamp(vec2<i32>(corner) + 1, vec2<i32>(-1), last);
{% endif %}
    var sum = vec3<f32>();
    for (var row = first.y; row <= end.y; row++) {
        for (var column = first.x; column <= end.x; column++) {
            let there = vec2<f32>(f32(column), f32(row));
{% if backward %}
            let away = abs(forward * (there - centre) + shift + centre - here);
{% else %}
            let away = abs(place - there);
{% endif %}
            let weights = max(1.0 - away, vec2<f32>());
            let weight = weights.x * weights.y;
            if weight > 0.0 {
                let from_at = image * 3u * pixels + u32(row) * params.width + u32(column);
                sum += weight * vec3<f32>(x[from_at], x[from_at + pixels], x[from_at + 2u * pixels]);
            }
        }
    }
    let to = image * 3u * pixels + at;
    y[to] = sum.x;
    y[to + pixels] = sum.y;
    y[to + 2u * pixels] = sum.z;
}
