// Which of the values at place i of a row, in units of one or of a vec4, belong to it.
{% if vec %}
fn inside(i: u32) -> vec4<bool> {
    return vec4<u32>(4u * i) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.columns);
}

fn sum(value: vec4<f32>) -> f32 {
    return dot(value, vec4<f32>(1.0));
}
{% else %}
fn inside(i: u32) -> bool {
    return i < params.columns;
}

fn sum(value: f32) -> f32 {
    return value;
}
{% endif %}
