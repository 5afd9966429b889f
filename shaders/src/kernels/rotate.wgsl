// Rotates queries or keys by their places (Su et al. 2021): in each head of a patch's row the pair of values (j, j + half) by the
// angle whose cosine and sine stand in the tables at [patch, j]; with `backward` by the opposite angle, which is the gradient.
// The first `leading` rows of each image's tokens stay as they are.
//
// Settings: x the type of x and y; table that of the tables; backward. Bindings: x [images*tokens, heads*2*half], cosines and
// sines [patches, half], y. Parameters: count of pairs, heads, half, tokens, leading.
// Tile: one pair an invocation; bound by memory. Tolerance: 3e-7 of the largest value; 1e-3 where a type is f16.

struct Params { count: u32, heads: u32, half: u32, tokens: u32, leading: u32 }
var<immediate> params: Params;
@group(0) @binding(0) var<storage, read> x: array<{{ x }}>;
@group(0) @binding(1) var<storage, read> cosines: array<{{ table }}>;
@group(0) @binding(2) var<storage, read> sines: array<{{ table }}>;
@group(0) @binding(3) var<storage, read_write> y: array<{{ x }}>;

{% include "list" %}
    if i >= params.count { return; }
    let j = i % params.half;
    let head = i / params.half;
    let token = head / params.heads % params.tokens;
    let at = head * 2u * params.half + j;
    if token < params.leading {
        y[at] = x[at];
        y[at + params.half] = x[at + params.half];
        return;
    }
    let place = (token - params.leading) * params.half + j;
    let c = f32(cosines[place]);
    let s = {{ "-" if backward }}f32(sines[place]);
    let first = f32(x[at]);
    let second = f32(x[at + params.half]);
    y[at] = {{ x }}(first * c - second * s);
    y[at + params.half] = {{ x }}(second * c + first * s);
}
