// C[m,n] = A[m,k] * B[n,k]^T, row-major f32: the product of a linear layer, y = x W^T.
//
// Bindings: 0 sizes (m, n, k, unused), 1 A, 2 B, 3 C. Dispatch ceil(n/64) x ceil(m/64) groups.
// Tile: a group of 16 x 16 invocations computes 64 x 64 values, 4 x 4 each, from 64 x 16 slices of A and B in workgroup
// memory (8 KiB, half of what WebGPU guarantees): each value fetched from memory serves 64 multiplications.
// Tolerance: sums run over k in order, in f32; relative error about k * 6e-8.

struct Sizes { m: u32, n: u32, k: u32, unused: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;

const TILE: u32 = 64u;
const DEPTH: u32 = 16u;
const OWN: u32 = 4u;

var<workgroup> slice_a: array<f32, 1024>;
var<workgroup> slice_b: array<f32, 1024>;

@compute @workgroup_size(16, 16)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let top = group.y * TILE;
    let left = group.x * TILE;
    var sums: array<f32, 16>;
    for (var start = 0u; start < sizes.k; start += DEPTH) {
        for (var i = index; i < TILE * DEPTH; i += 256u) {
            let row = i / DEPTH;
            let column = start + i % DEPTH;
            var value_a = 0.0;
            var value_b = 0.0;
            if column < sizes.k {
                if top + row < sizes.m { value_a = a[(top + row) * sizes.k + column]; }
                if left + row < sizes.n { value_b = b[(left + row) * sizes.k + column]; }
            }
            slice_a[i] = value_a;
            slice_b[i] = value_b;
        }
        workgroupBarrier();
        for (var d = 0u; d < DEPTH; d++) {
            for (var i = 0u; i < OWN; i++) {
                let value = slice_a[(local.y * OWN + i) * DEPTH + d];
                for (var j = 0u; j < OWN; j++) {
                    sums[i * OWN + j] += value * slice_b[(local.x * OWN + j) * DEPTH + d];
                }
            }
        }
        workgroupBarrier();
    }
    for (var i = 0u; i < OWN; i++) {
        for (var j = 0u; j < OWN; j++) {
            let row = top + local.y * OWN + i;
            let column = left + local.x * OWN + j;
            if row < sizes.m && column < sizes.n { c[row * sizes.n + column] = sums[i * OWN + j]; }
        }
    }
}
