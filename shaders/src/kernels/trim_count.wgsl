// How often each value of the next eight bits of |x| occurs, among the values whose higher bits are the prefix found so far:
// one of four passes that find the magnitude of the k-th largest value (radix selection).
//
// Bindings: x as bits, state (prefix, rank left), counts [256]. Parameters: count of values, shift of the eight bits.
// Tile: a group counts 64 * 16 values in workgroup memory, then adds its 256 sums to the whole; integers, so in any order.
// Tolerance: none. A NaN counts as the largest magnitude.

struct Params { count: u32, shift: u32 }
var<immediate> params: Params;
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read> state: array<u32>;
@group(0) @binding(2) var<storage, read_write> counts: array<atomic<u32>>;

var<workgroup> own: array<atomic<u32>, 256>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    for (var i = index; i < 256u; i += 64u) { atomicStore(&own[i], 0u); }
    workgroupBarrier();
    let start = (group.x + group.y * groups.x) * 1024u;
    for (var i = start + index; i < min(start + 1024u, params.count); i += 64u) {
        var bits = x[i] & 0x7fffffffu;
        if bits > 0x7f800000u { bits = 0x7fffffffu; }
        // Two shifts: one by 32 is not defined.
        if (bits >> params.shift) >> 8u == state[0] { atomicAdd(&own[(bits >> params.shift) & 255u], 1u); }
    }
    workgroupBarrier();
    for (var i = index; i < 256u; i += 64u) {
        let sum = atomicLoad(&own[i]);
        if sum > 0u { atomicAdd(&counts[i], sum); }
    }
}
