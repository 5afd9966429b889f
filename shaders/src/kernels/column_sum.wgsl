// The sums over blocks of rows of x[rows, columns], or with `dot` of x * y: s[block, column].
//
// Settings: x, y the types; dot. The sums are f32. Bindings: x, y if dot, s.
// Parameters: rows, columns, block (rows per block), width (columns handled side by side, at most 64).
// Tile: a group of 64 lanes takes `width` columns of one block (groups x and z: columns, group y: blocks); where columns are fewer
// than 64, 64/width lanes share a column and are added up in workgroup memory. Run again over the blocks for the whole sum.
// Tolerance: sums of `block` terms in a fixed order: 1e-6 of the sum of magnitudes.

struct Params { rows: u32, columns: u32, block: u32, width: u32 }
var<immediate> params: Params;
@group(0) @binding(0) var<storage, read> x: array<{{ x }}>;
{% if dot %}
@group(0) @binding(1) var<storage, read> y: array<{{ y }}>;
{% endif %}
@group(0) @binding({{ 2 if dot else 1 }}) var<storage, read_write> s: array<f32>;

var<workgroup> partial: array<f32, 64>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let column = (group.x + group.z * groups.x) * params.width + index % params.width;
    let sharers = 64u / params.width;
    let sharer = index / params.width;
    var sum = 0.0;
    if column < params.columns && sharer < sharers {
        let end = min(params.rows, (group.y + 1u) * params.block);
        for (var row = group.y * params.block + sharer; row < end; row += sharers) {
            let i = row * params.columns + column;
{% if dot %}
            sum += f32(x[i]) * f32(y[i]);
{% else %}
            sum += f32(x[i]);
{% endif %}
        }
    }
    partial[index] = sum;
    workgroupBarrier();
    if sharer == 0u && column < params.columns {
        for (var i = 1u; i < sharers; i++) { sum += partial[index + i * params.width]; }
        s[group.y * params.columns + column] = sum;
    }
}
