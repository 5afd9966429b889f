// Adds to the prefix the eight bits in which the value of the wanted rank lies, and clears the counts for the next pass.
//
// Bindings: counts [256], state (prefix, rank left, counted from 1 at the largest). Parameters: none.
// Tile: one invocation: 256 additions. Tolerance: none.

@group(0) @binding(0) var<storage, read_write> counts: array<u32>;
@group(0) @binding(1) var<storage, read_write> state: array<u32>;

@compute @workgroup_size(1)
fn main() {
    var rank = state[1];
    var found = 0u;
    for (var i = 256u; i > 0u; i--) {
        let count = counts[i - 1u];
        counts[i - 1u] = 0u;
        if found == 0u {
            if rank <= count { found = i; } else { rank -= count; }
        }
    }
    state[0] = (state[0] << 8u) | (max(found, 1u) - 1u);
    state[1] = rank;
}
