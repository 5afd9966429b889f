// Dynamic loss scaling (Micikevicius et al. 2018, section 3.2), after a step: the scale is halved where a gradient was not
// finite (the step was then left out), and doubled after 2000 good steps.
//
// Bindings: state, four u32 (scale as the bits of an f32, good steps in a row, whether a gradient was not finite, steps left out).
// Tile: one invocation. Tolerance: none, the scale is a power of two.

@group(0) @binding(0) var<storage, read_write> state: array<u32, 4>;

@compute @workgroup_size(1)
fn main() {
    let scale = bitcast<f32>(state[0]);
    if state[2] != 0u {
        state[0] = bitcast<u32>(max(scale * 0.5, 1.0));
        state[1] = 0u;
        state[2] = 0u;
        state[3] += 1u;
    } else if state[1] == 1999u {
        state[0] = bitcast<u32>(min(scale * 2.0, 16777216.0));
        state[1] = 0u;
    } else {
        state[1] += 1u;
    }
}
