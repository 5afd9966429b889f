// The gradients to K and V of attention.wgsl: dv = sum p dy, dk = scale * sum dscore q over the queries, with p and dscore as in
// attention_backward_q.wgsl, which runs before and leaves the deltas.
//
// Settings: x the type of Q, K, V; g the type of dy, dk, dv; width, of a head, a multiple of 4; keys (here: queries) per tile.
// Bindings: q, k, v, dy, log_sums, deltas, dk, dv. Parameters: tokens, heads, scale.
// Tile: one key an invocation, 64 a group; queries and their gradients pass through workgroup memory. 4 * width values in
// registers: at width 64 that is all a GPU has, so wider heads spill into its cache.
// Tolerance: 1e-5 of the largest gradient; 5e-3 in f16.

struct Params { tokens: u32, heads: u32, scale: f32 }
var<immediate> params: Params;
{% set quads = width // 4 %}
@group(0) @binding(0) var<storage, read> q: array<vec4<{{ x }}>>;
@group(0) @binding(1) var<storage, read> k: array<vec4<{{ x }}>>;
@group(0) @binding(2) var<storage, read> v: array<vec4<{{ x }}>>;
@group(0) @binding(3) var<storage, read> dy: array<vec4<{{ g }}>>;
@group(0) @binding(4) var<storage, read> log_sums: array<f32>;
@group(0) @binding(5) var<storage, read> deltas: array<f32>;
@group(0) @binding(6) var<storage, read_write> dk: array<vec4<{{ g }}>>;
@group(0) @binding(7) var<storage, read_write> dv: array<vec4<{{ g }}>>;

var<workgroup> tile_q: array<vec4<f32>, {{ keys * quads }}>;
var<workgroup> tile_dy: array<vec4<f32>, {{ keys * quads }}>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) index: u32) {
    let columns = params.heads * {{ quads }}u;
    let image = group.z * params.tokens * columns + group.y * {{ quads }}u;
    let key = group.x * 64u + index;
    let at = image + min(key, params.tokens - 1u) * columns;
    let places = (group.z * params.heads + group.y) * params.tokens;
{% for i in range(quads) %}
    let k{{ i }} = vec4<f32>(k[at + {{ i }}u]);
    let v{{ i }} = vec4<f32>(v[at + {{ i }}u]);
    var dk{{ i }} = vec4<f32>();
    var dv{{ i }} = vec4<f32>();
{% endfor %}
    for (var first = 0u; first < params.tokens; first += {{ keys }}u) {
        workgroupBarrier();
        for (var i = index; i < {{ keys * quads }}u; i += 64u) {
            let from_at = image + min(first + i / {{ quads }}u, params.tokens - 1u) * columns + i % {{ quads }}u;
            tile_q[i] = vec4<f32>(q[from_at]) * params.scale;
            tile_dy[i] = vec4<f32>(dy[from_at]);
        }
        workgroupBarrier();
        let count = min({{ keys }}u, params.tokens - first);
        for (var j = 0u; j < count; j++) {
            let query = j * {{ quads }}u;
            var score = 0.0;
            var dp = 0.0;
{% for i in range(quads) %}
            score += dot(k{{ i }}, tile_q[query + {{ i }}u]);
            dp += dot(v{{ i }}, tile_dy[query + {{ i }}u]);
{% endfor %}
            let p = exp(score - log_sums[places + first + j]);
            let dscore = p * (dp - deltas[places + first + j]);
{% for i in range(quads) %}
            dk{{ i }} += dscore * tile_q[query + {{ i }}u];
            dv{{ i }} += p * tile_dy[query + {{ i }}u];
{% endfor %}
        }
    }
    if key < params.tokens {
{% for i in range(quads) %}
        dk[at + {{ i }}u] = vec4<{{ g }}>(dk{{ i }});
        dv[at + {{ i }}u] = vec4<{{ g }}>(dv{{ i }});
{% endfor %}
    }
}
