// The row of an invocation and its lane in it. Row numbers are the same for all lanes that meet at a barrier.
{% if lanes > 1 %}
    let row = group.x + group.y * groups.x;
    let lane = index;
{% else %}
    let row = (group.x + group.y * groups.x) * 64u + index;
    let lane = 0u;
{% endif %}
    if row >= params.rows { return; }
