// softmax(Q K^T * scale) V for every head, without a stored score matrix: the softmax is kept up as keys come in (Milakov &
// Gimelshein 2018; Dao et al. 2022); and per query the logarithm of its sum, for the gradient.
//
// Settings: x the type of Q, K, V and of y; width, of a head, a multiple of 4; keys per tile.
// Bindings: q, k, v [batch*tokens, heads*width], y alike, log_sums [batch, heads, tokens].
// Parameters: tokens, heads, scale. Dispatch: tokens/64, heads, batch.
// Tile: one query an invocation, 64 a group; keys and values pass through workgroup memory, so each is fetched once for 64
// queries. A query and its sum stay in registers (2 * width values). The sums are scaled anew only when a larger score comes.
// Tolerance: 5e-6 of the largest value of V; 2e-3 in f16.

struct Params { tokens: u32, heads: u32, scale: f32 }
var<immediate> params: Params;
{% set quads = width // 4 %}
@group(0) @binding(0) var<storage, read> q: array<vec4<{{ x }}>>;
@group(0) @binding(1) var<storage, read> k: array<vec4<{{ x }}>>;
@group(0) @binding(2) var<storage, read> v: array<vec4<{{ x }}>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<{{ x }}>>;
@group(0) @binding(4) var<storage, read_write> log_sums: array<f32>;

var<workgroup> tile_k: array<vec4<f32>, {{ keys * quads }}>;
var<workgroup> tile_v: array<vec4<f32>, {{ keys * quads }}>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) index: u32) {
    let columns = params.heads * {{ quads }}u;
    let image = group.z * params.tokens * columns + group.y * {{ quads }}u;
    let query = group.x * 64u + index;
    let at = image + min(query, params.tokens - 1u) * columns;
{% for i in range(quads) %}
    let q{{ i }} = vec4<f32>(q[at + {{ i }}u]) * params.scale;
    var y{{ i }} = vec4<f32>();
{% endfor %}
    var largest = -3.0e38;
    var sum = 0.0;
    for (var first = 0u; first < params.tokens; first += {{ keys }}u) {
        workgroupBarrier();
        for (var i = index; i < {{ keys * quads }}u; i += 64u) {
            let from_at = image + min(first + i / {{ quads }}u, params.tokens - 1u) * columns + i % {{ quads }}u;
            tile_k[i] = vec4<f32>(k[from_at]);
            tile_v[i] = vec4<f32>(v[from_at]);
        }
        workgroupBarrier();
        let count = min({{ keys }}u, params.tokens - first);
        for (var j = 0u; j < count; j++) {
            let key = j * {{ quads }}u;
            var score = 0.0;
{% for i in range(quads) %}
            score += dot(q{{ i }}, tile_k[key + {{ i }}u]);
{% endfor %}
            if score > largest {
                let shrink = exp(largest - score);
                largest = score;
                sum *= shrink;
{% for i in range(quads) %}
                y{{ i }} *= shrink;
{% endfor %}
            }
            let p = exp(score - largest);
            sum += p;
{% for i in range(quads) %}
            y{{ i }} += p * tile_v[key + {{ i }}u];
{% endfor %}
        }
    }
    if query < params.tokens {
{% for i in range(quads) %}
        y[at + {{ i }}u] = vec4<{{ x }}>(y{{ i }} / sum);
{% endfor %}
        log_sums[(group.z * params.heads + group.y) * params.tokens + query] = largest + log(sum);
    }
}
