fn main() {
    type B = burn::backend::Vulkan;
    use burn::tensor::{Tensor, Distribution};
    let d = Default::default();
    let a = Tensor::<B, 2>::random([64, 64], Distribution::Default, &d);
    println!("{:?}", a.clone().matmul(a).into_data());
}
