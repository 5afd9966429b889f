    // The gradient without its loss scale (see loss_scale.wgsl); a step with one that is not finite is left out.
{% if scaled %}
    if state[2] != 0u { return; }
    let gradient = g[i] / bitcast<f32>(state[0]);
{% else %}
    let gradient = g[i];
{% endif %}
