// The gradient to Q of attention.wgsl, and per query the sum of dy * y that the gradient to K needs too.
//
// With p = exp(score - log_sum) made again from Q and K: dscore = p * (dy . v - delta), delta = dy . y; dq = scale * sum dscore k.
//
// Settings: x the type of Q, K, V, y; g the type of dy and dq; width, of a head, a multiple of 4; keys per tile.
// Bindings: q, k, v, y, dy, log_sums, dq, deltas [batch, heads, tokens]. Parameters: tokens, heads, scale.
// Dispatch and tile: as attention.wgsl; 3 * width values in registers.
// Tolerance: 1e-5 of the largest gradient; 5e-3 in f16.

struct Params { tokens: u32, heads: u32, scale: f32 }
var<immediate> params: Params;
{% set quads = width // 4 %}
@group(0) @binding(0) var<storage, read> q: array<vec4<{{ x }}>>;
@group(0) @binding(1) var<storage, read> k: array<vec4<{{ x }}>>;
@group(0) @binding(2) var<storage, read> v: array<vec4<{{ x }}>>;
@group(0) @binding(3) var<storage, read> y: array<vec4<{{ x }}>>;
@group(0) @binding(4) var<storage, read> dy: array<vec4<{{ g }}>>;
@group(0) @binding(5) var<storage, read> log_sums: array<f32>;
@group(0) @binding(6) var<storage, read_write> dq: array<vec4<{{ g }}>>;
@group(0) @binding(7) var<storage, read_write> deltas: array<f32>;

var<workgroup> tile_k: array<vec4<f32>, {{ keys * quads }}>;
var<workgroup> tile_v: array<vec4<f32>, {{ keys * quads }}>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) index: u32) {
    let columns = params.heads * {{ quads }}u;
    let image = group.z * params.tokens * columns + group.y * {{ quads }}u;
    let query = group.x * 64u + index;
    let row = min(query, params.tokens - 1u);
    let at = image + row * columns;
    let place = (group.z * params.heads + group.y) * params.tokens + row;
    let log_sum = log_sums[place];
    var delta = 0.0;
{% for i in range(quads) %}
    let q{{ i }} = vec4<f32>(q[at + {{ i }}u]) * params.scale;
    let dy{{ i }} = vec4<f32>(dy[at + {{ i }}u]);
    delta += dot(dy{{ i }}, vec4<f32>(y[at + {{ i }}u]));
    var dq{{ i }} = vec4<f32>();
{% endfor %}
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
            var dp = 0.0;
{% for i in range(quads) %}
            score += dot(q{{ i }}, tile_k[key + {{ i }}u]);
            dp += dot(dy{{ i }}, tile_v[key + {{ i }}u]);
{% endfor %}
            let dscore = exp(score - log_sum) * (dp - delta);
{% for i in range(quads) %}
            dq{{ i }} += dscore * tile_k[key + {{ i }}u];
{% endfor %}
        }
    }
    if query < params.tokens {
{% for i in range(quads) %}
        dq[at + {{ i }}u] = vec4<{{ g }}>(dq{{ i }} * params.scale);
{% endfor %}
        deltas[place] = delta;
    }
}
