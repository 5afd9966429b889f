// The sum of a value over the lanes that share a row: all 64 of a group by a tree in workgroup memory, or one alone.
{% if lanes > 1 %}
var<workgroup> partial: array<f32, {{ lanes }}>;

fn total(value: f32, lane: u32) -> f32 {
    workgroupBarrier();
    partial[lane] = value;
    workgroupBarrier();
    for (var step = {{ lanes // 2 }}u; step > 0u; step /= 2u) {
        if lane < step { partial[lane] += partial[lane + step]; }
        workgroupBarrier();
    }
    return partial[0];
}
{% else %}
fn total(value: f32, lane: u32) -> f32 {
    return value;
}
{% endif %}
