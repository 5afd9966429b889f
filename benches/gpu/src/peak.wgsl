// Eight chains of multiply-adds on vec4s in registers: what an adapter can do without memory.
//
// Bindings: y, one vec4 an invocation, so that the work is not left out. Parameters: steps, factor.

struct Params { steps: u32, factor: f32 }
var<immediate> params: Params;
@group(0) @binding(0) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let start = vec4<f32>(f32(id.x), 1.0, 2.0, 3.0);
{% for i in range(8) %}
    var v{{ i }} = start + {{ i }}.0;
{% endfor %}
    let factor = vec4<f32>(params.factor);
    for (var i = 0u; i < params.steps; i++) {
{% for i in range(8) %}
        v{{ i }} = fma(v{{ i }}, factor, start);
{% endfor %}
    }
    y[id.x] = v0 + v1 + v2 + v3 + v4 + v5 + v6 + v7;
}
