//! The choice of a device by name, and the list of adapters to choose from.

use std::fmt;
use std::str::FromStr;

#[cfg(feature = "gpu")]
pub use super::gpu::adapters;

/// Where to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// A discrete GPU, else an integrated one, else the processor. Never a software driver.
    Auto,
    Cpu,
    /// The adapter of this number in the list of all; without one the best, software drivers last.
    Gpu(Option<usize>),
}

/// Every adapter: none in a program that was built without the `gpu` feature.
#[cfg(not(feature = "gpu"))]
pub fn adapters() -> Vec<super::adapter::Adapter> {
    Vec::new()
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "auto" => Ok(Choice::Auto),
            None if text == "cpu" => Ok(Choice::Cpu),
            None if text == "gpu" => Ok(Choice::Gpu(None)),
            Some(("gpu", number)) if number.bytes().all(|b| b.is_ascii_digit()) => {
                let number = number.parse().map_err(|_| "give an adapter's number after gpu:")?;
                Ok(Choice::Gpu(Some(number)))
            }
            _ => Err("use cpu, gpu, gpu:N with an adapter's number, or auto".into()),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Choice::Auto => f.write_str("auto"),
            Choice::Cpu => f.write_str("cpu"),
            Choice::Gpu(None) => f.write_str("gpu"),
            Choice::Gpu(Some(n)) => write!(f, "gpu:{n}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_names() {
        assert_eq!("auto".parse(), Ok(Choice::Auto));
        assert_eq!("cpu".parse(), Ok(Choice::Cpu));
        assert_eq!("gpu".parse(), Ok(Choice::Gpu(None)));
        assert_eq!("gpu:3".parse(), Ok(Choice::Gpu(Some(3))));
        for wrong in
            ["", "cuda", "gpu:", "gpu:-1", "gpu:1x", "gpu:99999999999999999999", "cpu:0", "GPU"]
        {
            assert!(wrong.parse::<Choice>().is_err(), "{wrong}");
        }
        for choice in [Choice::Auto, Choice::Cpu, Choice::Gpu(None), Choice::Gpu(Some(2))] {
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
    }
}
