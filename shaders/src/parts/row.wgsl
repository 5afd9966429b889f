// Opens the main function of a kernel that takes rows: its row and its lane in it. Row numbers are the same for all lanes that
// meet at a barrier.
@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
{% if lanes > 1 %}
    let row = group.x + group.y * groups.x;
    let lane = index;
{% else %}
    let row = (group.x + group.y * groups.x) * 64u + index;
    let lane = 0u;
{% endif %}
    if row >= params.rows { return; }
