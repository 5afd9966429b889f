// C = alpha * op(A) * op(B), or C += it: nn A[m,k] B[k,n], nt A[m,k] B[n,k]^T, tn A[k,m]^T B[k,n]; in batches; with a bias per
// column and an activation where asked.
//
// Settings: form 0 nn, 1 nt, 2 tn; a, b, c, bias the element types; tile 0 registers, 1 subgroup, 2 shared; rows, the rows an
// invocation owns (a multiple of 8; tiles 0 and 1); vec_a, vec_b, vec_c whether a matrix is read or written as vec4, which needs
// its row length, offsets and leading dimension to be multiples of 4; accumulate; biased; activation 0 none, otherwise one of
// parts/activations.wgsl (C is then the value before, Y after it).
// Bindings: A, B, bias if biased, C, Y if activated.
// Parameters: sizes, leading dimensions, strides of the outer and the inner batch index (z = outer * inner + index), `chunk`:
// how many k one z handles where the sum is split, C being one partial result per z; otherwise k.
//
// Every invocation owns whole vec4s of columns of C, and takes four k at a time: 16 multiplications per A vec4.
//   registers: 8 x 4 values an invocation, straight from memory, no barrier: for processors whose subgroups are narrow.
//   subgroup: a group is one subgroup of 8 lanes; lane l fetches rows l, l+8, .. of A and hands them round by broadcast, so that
//     a value of A is fetched once for 32 columns. On a software driver a barrier costs a context switch per lane; this has none.
//   shared: 64 x 64 values by 8 x 8 invocations, 8 x 8 each, through 64 x 16 slices of A and B in workgroup memory (8 KiB):
//     a value fetched from memory serves 64 multiplications, one from workgroup memory 8.
// Tolerance: sums run over k in order, in f32: about sqrt(k) * 6e-8 of the largest term; half an ulp of C's type on top.

struct Params {
    m: u32, n: u32, k: u32, chunk: u32,
    lda: u32, ldb: u32, ldc: u32, inner: u32,
    a_outer: u32, a_inner: u32, b_outer: u32, b_inner: u32,
    c_outer: u32, c_inner: u32, alpha: f32, split: u32,
}
var<immediate> params: Params;

{% set quad_a = "vec4<" ~ a ~ ">" if vec_a else a %}
{% set quad_b = "vec4<" ~ b ~ ">" if vec_b else b %}
{% set quad_c = "vec4<" ~ c ~ ">" if vec_c else c %}
@group(0) @binding(0) var<storage, read> a: array<{{ quad_a }}>;
@group(0) @binding(1) var<storage, read> b: array<{{ quad_b }}>;
{% if biased %}
@group(0) @binding(2) var<storage, read> bias: array<{{ bias }}>;
{% endif %}
@group(0) @binding({{ 3 if biased else 2 }}) var<storage, read_write> c: array<{{ quad_c }}>;
{% if activation %}
@group(0) @binding({{ 4 if biased else 3 }}) var<storage, read_write> y: array<{{ quad_c }}>;
{% endif %}

{% macro read(name, vec) %}
// Four values of {{ name|upper }} from (row, column) on, along its rows; zero past their end.
fn read_{{ name }}(start: u32, row: u32, column: u32, rows: u32, columns: u32) -> vec4<f32> {
    let at = start + min(row, rows - 1u) * params.ld{{ name }} + column;
{% if vec %}
    return select(vec4<f32>(), vec4<f32>({{ name }}[at / 4u]), column < columns);
{% else %}
    var value = vec4<f32>();
    for (var i = 0u; i < 4u; i++) {
        if column + i < columns { value[i] = f32({{ name }}[at + i]); }
    }
    return value;
{% endif %}
}
{% endmacro %}
{{ read("a", vec_a) }}
{{ read("b", vec_b) }}
{% if activation %}
{% include "activations" %}

{% endif %}
// The tile of a group: eight rows of tiles at a time, column after column, so that their part of A stays in a cache while B
// passes through it once for all eight.
fn place(group: vec2<u32>, groups: vec2<u32>) -> vec2<u32> {
    let number = group.x + group.y * groups.x;
    let first = number / (8u * groups.x) * 8u;
    let rows = min(8u, groups.y - first);
    let within = number - first * groups.x;
    return vec2<u32>(within / rows, first + within % rows);
}

// Finishes and writes four columns of a row of C.
fn write(start: u32, row: u32, column: u32, sum: vec4<f32>) {
    if row >= params.m || column >= params.n { return; }
    var value = params.alpha * sum;
    let at = start + row * params.ldc + column;
{% if vec_c %}
{% if biased %}
    value += vec4<f32>(f32(bias[column]), f32(bias[column + 1u]), f32(bias[column + 2u]), f32(bias[column + 3u]));
{% endif %}
{% if accumulate %}
    value += vec4<f32>(c[at / 4u]);
{% endif %}
    c[at / 4u] = {{ quad_c }}(value);
{% if activation %}
    y[at / 4u] = {{ quad_c }}(activate(value));
{% endif %}
{% else %}
    for (var i = 0u; i < 4u; i++) {
        if column + i < params.n {
{% if biased %}
            value[i] += f32(bias[column + i]);
{% endif %}
{% if accumulate %}
            value[i] += f32(c[at + i]);
{% endif %}
            c[at + i] = {{ c }}(value[i]);
{% if activation %}
            y[at + i] = {{ c }}(activate(value)[i]);
{% endif %}
        }
    }
{% endif %}
}

{% if tile == 2 %}
var<workgroup> slice_a: array<vec4<f32>, 256>;
var<workgroup> slice_b: array<vec4<f32>, 256>;

// Slices hold, for each of 16 k, 16 vec4s of rows of op(A) or columns of op(B).
{% macro slice(name, along, start, count) %}
        {
{% if along %}
            // Four rows of four k each, turned round.
            let group = index / 4u;
            let step = (index % 4u) * 4u;
            let k = from_k + step;
{% for i in range(4) %}
            let v{{ i }} = read_{{ name }}(start_{{ name }}, {{ start }} + group * 4u + {{ i }}u, k, {{ count }}, to_k);
{% endfor %}
{% for i in range(4) %}
            slice_{{ name }}[(step + {{ i }}u) * 16u + group] = vec4<f32>(v0[{{ i }}], v1[{{ i }}], v2[{{ i }}], v3[{{ i }}]);
{% endfor %}
{% else %}
            for (var q = index; q < 256u; q += 64u) {
                let k = from_k + q / 16u;
                let value = read_{{ name }}(start_{{ name }}, k, {{ start }} + (q % 16u) * 4u, to_k, {{ count }});
                slice_{{ name }}[q] = select(vec4<f32>(), value, k < to_k);
            }
{% endif %}
        }
{% endmacro %}

@compute @workgroup_size(8, 8)
fn main(
    @builtin(workgroup_id) group_id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let outer = group_id.z / params.inner;
    let inner = group_id.z % params.inner;
    let start_a = outer * params.a_outer + inner * params.a_inner;
    let start_b = outer * params.b_outer + inner * params.b_inner;
    let start_c = outer * params.c_outer + inner * params.c_inner;
    let first_k = select(0u, group_id.z * params.chunk, params.split == 1u);
    let to_k = min(params.k, first_k + params.chunk);
    let tile = place(group_id.xy, groups.xy);
    let top = tile.y * 64u;
    let left = tile.x * 64u;
{% for r in range(8) %}{% for q in range(2) %}
    var sum{{ r }}_{{ q }} = vec4<f32>();
{% endfor %}{% endfor %}
    for (var from_k = first_k; from_k < to_k; from_k += 16u) {
{{ slice("a", form != 2, "top", "params.m") }}
{{ slice("b", form == 1, "left", "params.n") }}
        workgroupBarrier();
        for (var k = 0u; k < 16u; k++) {
            let a0 = slice_a[k * 16u + local.y];
            let a1 = slice_a[k * 16u + local.y + 8u];
            let b0 = slice_b[k * 16u + local.x];
            let b1 = slice_b[k * 16u + local.x + 8u];
{% for r in range(8) %}{% for q in range(2) %}
            sum{{ r }}_{{ q }} = fma(vec4<f32>(a{{ r // 4 }}[{{ r % 4 }}]), b{{ q }}, sum{{ r }}_{{ q }});
{% endfor %}{% endfor %}
        }
        workgroupBarrier();
    }
{% for r in range(8) %}{% for q in range(2) %}
    write(start_c, top + (local.y + {{ r // 4 * 8 }}u) * 4u + {{ r % 4 }}u, left + (local.x + {{ q * 8 }}u) * 4u, sum{{ r }}_{{ q }});
{% endfor %}{% endfor %}
}
{% else %}
{% set groups = rows // 8 %}
{% if tile == 1 %}
@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) group_id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let tile = place(group_id.xy, groups.xy);
    let top = tile.y * {{ rows }}u;
    let left = (tile.x * 8u + lane) * 4u;
{% else %}
@compute @workgroup_size(8, 8)
fn main(
    @builtin(workgroup_id) group_id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let tile = place(group_id.xy, groups.xy);
    let top = (tile.y * 8u + local.y) * {{ rows }}u;
    let left = (tile.x * 8u + local.x) * 4u;
{% endif %}
    let outer = group_id.z / params.inner;
    let inner = group_id.z % params.inner;
    let start_a = outer * params.a_outer + inner * params.a_inner;
    let start_b = outer * params.b_outer + inner * params.b_inner;
    let start_c = outer * params.c_outer + inner * params.c_inner;
    let first_k = select(0u, group_id.z * params.chunk, params.split == 1u);
    let to_k = min(params.k, first_k + params.chunk);
{% for r in range(rows) %}
    var sum{{ r }} = vec4<f32>();
{% endfor %}
    for (var k = first_k; k < to_k; k += 4u) {
{# b0..b3: op(B)[k + i, left .. left + 4]. #}
{% if form == 1 %}
{% for j in range(4) %}
        let t{{ j }} = read_b(start_b, left + {{ j }}u, k, params.n, to_k);
{% endfor %}
{% for i in range(4) %}
        let b{{ i }} = vec4<f32>(t0[{{ i }}], t1[{{ i }}], t2[{{ i }}], t3[{{ i }}]);
{% endfor %}
{% else %}
{% for i in range(4) %}
        let b{{ i }} = read_b(start_b, k + {{ i }}u, left, to_k, params.n);
{% endfor %}
{% endif %}
{% if form == 2 %}
{# a{q}: op(A)'s rows top + 4 (q % per) .. + 4 at k + q / per; zero past the last k. #}
{% set per = rows // 4 %}
{% if tile == 1 %}
{% for g in range(rows // 8) %}
        let q{{ g }} = {{ g * 8 }}u + (lane & 7u);
        let v{{ g }} = select(vec4<f32>(), read_a(start_a, k + q{{ g }} / {{ per }}u, top + q{{ g }} % {{ per }}u * 4u, to_k, params.m),
            k + q{{ g }} / {{ per }}u < to_k);
{% endfor %}
{% endif %}
{% for i in range(4) %}{% for p in range(per) %}
{% set q = i * per + p %}
        {
{% if tile == 1 %}
            let a = subgroupBroadcast(v{{ q // 8 }}, {{ q % 8 }}u);
{% else %}
            let a = select(vec4<f32>(), read_a(start_a, k + {{ i }}u, top + {{ p * 4 }}u, to_k, params.m), k + {{ i }}u < to_k);
{% endif %}
{% for e in range(4) %}
            sum{{ p * 4 + e }} = fma(vec4<f32>(a[{{ e }}]), b{{ i }}, sum{{ p * 4 + e }});
{% endfor %}
        }
{% endfor %}{% endfor %}
{% else %}
{% if tile == 1 %}
{% for g in range(rows // 8) %}
        let v{{ g }} = read_a(start_a, top + {{ g * 8 }}u + (lane & 7u), k, params.m, to_k);
{% endfor %}
{% endif %}
{% for r in range(rows) %}
        {
{% if tile == 1 %}
            let a = subgroupBroadcast(v{{ r // 8 }}, {{ r % 8 }}u);
{% else %}
            let a = read_a(start_a, top + {{ r }}u, k, params.m, to_k);
{% endif %}
{% for e in range(4) %}
            sum{{ r }} = fma(vec4<f32>(a[{{ e }}]), b{{ e }}, sum{{ r }});
{% endfor %}
        }
{% endfor %}
{% endif %}
    }
{% for r in range(rows) %}
    write(start_c, top + {{ r }}u, left, sum{{ r }});
{% endfor %}
}
{% endif %}
