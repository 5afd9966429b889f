// Brightness added; each pixel's distance from its channels' mean times saturation; each value's distance from the image's
// mean times contrast. Without brightness that is linear and symmetric, so it is its own gradient.
//
// Bindings: x [batch, 3, pixels], means of the images, changes (brightness, saturation, contrast an image), y.
// Parameters: batch, pixels. Tile: one pixel an invocation, its three channels together. Tolerance: 4e-6 of the largest value.

struct Params { batch: u32, pixels: u32 }
var<immediate> params: Params;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> means: array<f32>;
@group(0) @binding(2) var<storage, read> changes: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

{% include "list" %}
    if i >= params.batch * params.pixels { return; }
    let image = i / params.pixels;
    let at = image * 3u * params.pixels + i % params.pixels;
    let brightness = changes[image * 3u];
    let saturation = changes[image * 3u + 1u];
    let contrast = changes[image * 3u + 2u];
    let value = vec3<f32>(x[at], x[at + params.pixels], x[at + 2u * params.pixels]);
    let grey = (value.x + value.y + value.z) / 3.0;
    // Saturation leaves the mean where brightness put it: one mean serves both steps.
    let mean = means[image] + brightness;
    let changed = mean + contrast * (grey + brightness + saturation * (value - grey) - mean);
    y[at] = changed.x;
    y[at + params.pixels] = changed.y;
    y[at + 2u * params.pixels] = changed.z;
}
