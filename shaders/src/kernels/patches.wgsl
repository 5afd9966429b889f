// Images [batch, 3, height, width] as rows of square patches [batch*grid, 3*patch*patch], channel-major inside a patch; with
// `backward` dy laid back into images, zero beyond the last whole patch.
//
// Settings: x, y the types; backward. Bindings: x, y. Parameters: count of values written, height, width, side of a patch.
// Tile: one value an invocation; a permutation, bound by memory. Tolerance: none but y's type.

struct Params { count: u32, height: u32, width: u32, side: u32 }
var<immediate> params: Params;
@group(0) @binding(0) var<storage, read> x: array<{{ x }}>;
@group(0) @binding(1) var<storage, read_write> y: array<{{ y }}>;

{% include "list" %}
    if i >= params.count { return; }
    let p = params.side;
    let across = params.width / p;
    let down = params.height / p;
    let columns = 3u * p * p;
{% if backward %}
    let column = i % params.width;
    let line = i / params.width % params.height;
    let channel = i / (params.width * params.height) % 3u;
    let image = i / (params.width * params.height * 3u);
    let inside = column / p < across && line / p < down;
    let row = (image * down + min(line / p, down - 1u)) * across + min(column / p, across - 1u);
    let at = row * columns + (channel * p + line % p) * p + column % p;
    y[i] = select({{ y }}(), {{ y }}(x[at]), inside);
{% else %}
    let row = i / columns;
    let within = i % columns;
    let channel = within / (p * p);
    let image = row / (down * across);
    let line = row % (down * across) / across * p + within % (p * p) / p;
    let column = row % across * p + within % p;
    y[i] = {{ y }}(x[((image * 3u + channel) * params.height + line) * params.width + column]);
{% endif %}
}
