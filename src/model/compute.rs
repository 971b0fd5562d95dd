//! Where a network runs and in which precision.
//!
//! In: what was asked for, as words of the command line. Out: what there is. Refuses devices that
//! are not there.

use std::fmt;
use std::str::FromStr;

use super::kernel::bfloat16;
use super::torch;
use crate::error::{Error, Result};

/// What runs a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// The graphics processor when libtorch can use one, or the processor.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// An NVIDIA graphics processor.
    Cuda,
    /// An Apple graphics processor.
    Mps,
}

/// How exactly a network computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Float32 throughout.
    #[default]
    Float32,
    /// Products of bfloat16 (8 bits of mantissa) where most of the time goes, sums of float32.
    Bfloat16,
}

/// Where and how a network runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compute {
    /// What runs it.
    pub device: Device,
    /// How exactly.
    pub precision: Precision,
}

impl Device {
    /// All devices, in the order in which they are listed.
    pub const ALL: [Self; 4] = [Self::Auto, Self::Cpu, Self::Cuda, Self::Mps];
}

impl Precision {
    /// All precisions, in the order in which they are listed.
    pub const ALL: [Self; 2] = [Self::Float32, Self::Bfloat16];
}

impl Compute {
    /// What was asked for with [`Device::Auto`] resolved to what there is.
    ///
    /// # Errors
    /// [`Error::DeviceMissing`] when libtorch cannot use the device.
    pub fn resolve(self) -> Result<Self> {
        let is_there = |device| match device {
            Device::Auto | Device::Cpu => true,
            Device::Cuda => torch::has_cuda(),
            Device::Mps => torch::has_mps(),
        };
        let device = match self.device {
            Device::Auto => [Device::Cuda, Device::Mps]
                .into_iter()
                .find(|&device| is_there(device))
                .unwrap_or(Device::Cpu),
            device if is_there(device) => device,
            device => return Err(Error::DeviceMissing { device: device.to_string() }),
        };
        Ok(Self { device, ..self })
    }

    /// Whether the device has instructions for the precision; without them a network runs, but
    /// slower than with float32.
    pub fn is_fast_here(self) -> bool {
        match (self.precision, self.device) {
            (Precision::Float32, _) | (Precision::Bfloat16, Device::Cuda | Device::Mps) => true,
            (Precision::Bfloat16, Device::Auto | Device::Cpu) => bfloat16::is_available(),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Mps => "mps",
        })
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Float32 => "f32",
            Self::Bfloat16 => "bf16",
        })
    }
}

/// A word that names none of the choices.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is none of {}", known.join(", "))]
pub struct UnknownWord {
    /// The word.
    pub found: String,
    /// The words there are.
    pub known: Vec<String>,
}

/// The choice that `word` names.
fn named<T: Copy + ToString>(choices: &[T], word: &str) -> std::result::Result<T, UnknownWord> {
    choices.iter().copied().find(|choice| choice.to_string() == word).ok_or_else(|| UnknownWord {
        found: word.to_owned(),
        known: choices.iter().map(ToString::to_string).collect(),
    })
}

impl FromStr for Device {
    type Err = UnknownWord;

    fn from_str(word: &str) -> std::result::Result<Self, UnknownWord> {
        named(&Self::ALL, word)
    }
}

impl FromStr for Precision {
    type Err = UnknownWord;

    fn from_str(word: &str) -> std::result::Result<Self, UnknownWord> {
        named(&Self::ALL, word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_their_choices() {
        for device in Device::ALL {
            assert_eq!(device.to_string().parse(), Ok(device));
        }
        for precision in Precision::ALL {
            assert_eq!(precision.to_string().parse(), Ok(precision));
        }
        let problem = "f64".parse::<Precision>().unwrap_err().to_string();
        assert_eq!(problem, "`f64` is none of f32, bf16");
    }

    #[test]
    fn a_device_is_resolved_or_missed() {
        let auto = Compute::default().resolve().unwrap();
        assert_ne!(auto.device, Device::Auto);
        if !torch::has_mps() {
            let asked = Compute { device: Device::Mps, ..Compute::default() };
            assert!(matches!(asked.resolve(), Err(Error::DeviceMissing { .. })));
        }
    }
}
