//! What an AAC track is, and whether it is HE-AAC.
//!
//! In: an `AudioSpecificConfig`, as MP4, Matroska and CAF carry it, and packets. Out: the
//! configuration of the low-complexity core, which symphonia decodes, and the codec's name.
//! Refuses what that decoder cannot do: other object types, more than two channels, short frames.
//!
//! HE-AAC codes the lower half of the band as AAC-LC at half the rate and describes the upper half
//! (spectral band replication). The lower half alone is decoded, at its own rate, and the codec's
//! name says so. Source: ISO/IEC 14496-3, sections 1.6.2.1, 1.6.5 and 4.4.2.7.

use super::Decoded;
use super::bits::Bits;
use crate::error::DecodeProblem;

/// Frames of a packet of the low-complexity core.
pub(super) const PACKET_FRAMES: u64 = 1_024;

/// Hz by the configuration's index.
pub(super) const SAMPLE_RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];
/// The index that says that the rate follows in 24 bits.
const RATE_FOLLOWS: u32 = 15;

const OBJECT_LC: u32 = 2;
const OBJECT_SBR: u32 = 5;
const OBJECT_PS: u32 = 29;

/// Extension payloads of a fill element that hold spectral band replication, without and with a
/// checksum.
const SBR_PAYLOADS: [u32; 2] = [13, 14];

/// Which of its extensions an AAC track uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Profile {
    LowComplexity,
    /// HE-AAC: spectral band replication.
    Sbr,
    /// HE-AAC version 2: parametric stereo besides.
    SbrAndStereo,
}

impl Profile {
    pub(super) fn codec_name(self) -> &'static str {
        match self {
            Self::LowComplexity => "aac",
            Self::Sbr => "he_aac",
            Self::SbrAndStereo => "he_aac_v2",
        }
    }
}

/// The core of an AAC track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AacConfig {
    /// Hz of the core: half of what HE-AAC plays at.
    pub(super) sample_rate: u32,
    pub(super) channels: u16,
    pub(super) profile: Profile,
}

impl AacConfig {
    /// Reads an `AudioSpecificConfig`.
    pub(super) fn read(bytes: &[u8]) -> Decoded<Self> {
        let mut bits = Bits::new(bytes);
        let Some((core, object, short)) = Self::fields(&mut bits) else {
            return Err(DecodeProblem::Malformed {
                what: "AAC configuration",
                expected: "an object type, a rate and channels",
                found: format!("the {} bytes {}", bytes.len(), bytes.escape_ascii()),
            });
        };
        let name = match object {
            OBJECT_LC if short => "AAC of 960 frames a packet".to_owned(),
            OBJECT_LC if core.channels == 0 => "AAC of a channel layout of its own".to_owned(),
            OBJECT_LC if core.channels > 2 => format!("AAC of {} channels", core.channels),
            OBJECT_LC => return Ok(core.with_late_extension(bits)),
            1 => "AAC Main".to_owned(),
            3 => "AAC SSR".to_owned(),
            4 => "AAC LTP".to_owned(),
            23 => "AAC-LD".to_owned(),
            39 => "AAC-ELD".to_owned(),
            42 => "xHE-AAC".to_owned(),
            other => format!("MPEG-4 audio object type {other}"),
        };
        let he = if core.profile == Profile::LowComplexity { "" } else { "HE-AAC over " };
        Err(DecodeProblem::UnknownCodec { codec: format!("{he}{name}") })
    }

    /// The configuration, the core's object type, and whether its frames are short.
    fn fields(bits: &mut Bits<'_>) -> Option<(Self, u32, bool)> {
        let mut object = object_type(bits)?;
        let sample_rate = rate(bits)?;
        let channels = match bits.read(4)? {
            7 => 8,
            count @ 0..=6 => count,
            _ => return None,
        };
        let profile = match object {
            OBJECT_SBR => Profile::Sbr,
            OBJECT_PS => Profile::SbrAndStereo,
            _ => Profile::LowComplexity,
        };
        if profile != Profile::LowComplexity {
            rate(bits)?;
            object = object_type(bits)?;
        }
        let short = bits.flag()?;
        if bits.flag()? {
            bits.skip(14); // the core coder's delay
        }
        bits.flag()?;
        let channels = u16::try_from(channels).ok()?;
        Some((Self { sample_rate, channels, profile }, object, short))
    }

    /// The same, after the extension that old decoders pass over: it begins with a word of its
    /// own.
    fn with_late_extension(mut self, mut bits: Bits<'_>) -> Self {
        const SBR_FOLLOWS: u32 = 0x2b7;
        const PS_FOLLOWS: u32 = 0x548;

        let mut extension = || -> Option<Profile> {
            if bits.read(11)? != SBR_FOLLOWS || object_type(&mut bits)? != OBJECT_SBR {
                return None;
            }
            if !bits.flag()? {
                return None;
            }
            rate(&mut bits)?;
            let stereo = bits.read(11) == Some(PS_FOLLOWS) && bits.flag() == Some(true);
            Some(if stereo { Profile::SbrAndStereo } else { Profile::Sbr })
        };
        if self.profile == Profile::LowComplexity
            && let Some(profile) = extension()
        {
            self.profile = profile;
        }
        self
    }

    /// An `AudioSpecificConfig` of the core alone, which symphonia takes.
    pub(super) fn core_config(self) -> Vec<u8> {
        let index = SAMPLE_RATES.iter().position(|&rate| rate == self.sample_rate);
        let channels = u64::from(self.channels);
        let core = u64::from(OBJECT_LC);
        if let Some(index) = index {
            let bits = core << 11 | (index as u64) << 7 | channels << 3;
            bits.to_be_bytes()[6..].to_vec()
        } else {
            let rate = u64::from(RATE_FOLLOWS) << 24 | u64::from(self.sample_rate);
            (core << 35 | rate << 7 | channels << 3).to_be_bytes()[3..].to_vec()
        }
    }
}

fn object_type(bits: &mut Bits<'_>) -> Option<u32> {
    match bits.read(5)? {
        31 => Some(32 + bits.read(6)?),
        object => Some(object),
    }
}

fn rate(bits: &mut Bits<'_>) -> Option<u32> {
    match bits.read(4)? {
        RATE_FOLLOWS => bits.read(24),
        index => SAMPLE_RATES.get(index as usize).copied(),
    }
}

/// Whether `packet` ends with spectral band replication. Nothing in front of it says where it
/// begins without decoding, but it must end where the packet does: a fill element of that kind,
/// perhaps another, the end mark, and zeros up to the byte. One packet in fifty looks so by
/// chance; ask several.
pub(super) fn ends_with_sbr(packet: &[u8]) -> bool {
    const MOST_BITS: usize = 8 * (15 + 255);
    let end = 8 * packet.len();
    (end.saturating_sub(MOST_BITS)..end).any(|start| {
        let mut bits = Bits::at(packet, start);
        fill_element(&mut bits) == Some(true) && only_filling_follows(bits, end)
    })
}

/// Passes a fill element over and says whether it holds spectral band replication.
fn fill_element(bits: &mut Bits<'_>) -> Option<bool> {
    const FILL: u32 = 6;
    if bits.read(3)? != FILL {
        return None;
    }
    let mut bytes = bits.read(4)? as usize;
    if bytes == 15 {
        bytes += bits.read(8)? as usize;
        bytes -= 1;
    }
    if bytes == 0 {
        return Some(false);
    }
    let sbr = SBR_PAYLOADS.contains(&bits.read(4)?);
    bits.skip(8 * bytes - 4);
    Some(sbr)
}

fn only_filling_follows(mut bits: Bits<'_>, end: usize) -> bool {
    const END: u32 = 7;
    loop {
        let mut element = bits;
        if element.read(3) == Some(END) {
            let left = end.saturating_sub(element.position());
            return left < 8 && element.read(left) == Some(0);
        }
        if fill_element(&mut bits).is_none() {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_of_every_signalling() {
        let config = |sample_rate, channels, profile| AacConfig { sample_rate, channels, profile };
        for (bytes, expected) in [
            (&[0x12, 0x10][..], config(44_100, 2, Profile::LowComplexity)),
            (&[0x13, 0x88], config(22_050, 1, Profile::LowComplexity)),
            // Explicit and hierarchical: type 5 or 29, then the core's.
            (&[0x2b, 0x92, 0x08, 0x00], config(22_050, 2, Profile::Sbr)),
            (&[0xeb, 0x8a, 0x08, 0x00], config(22_050, 1, Profile::SbrAndStereo)),
            // Explicit and backward compatible: behind the core's own.
            (&[0x13, 0x90, 0x56, 0xe5, 0xa0], config(22_050, 2, Profile::Sbr)),
            (&[0x13, 0x88, 0x56, 0xe5, 0xa5, 0x48, 0x80], config(22_050, 1, Profile::SbrAndStereo)),
            // It says that there is none.
            (&[0x13, 0x90, 0x56, 0xe5, 0x00], config(22_050, 2, Profile::LowComplexity)),
        ] {
            let found = AacConfig::read(bytes).unwrap();
            assert_eq!(found, expected, "{bytes:x?}");
            let core = AacConfig::read(&found.core_config()).unwrap();
            assert_eq!(core, AacConfig { profile: Profile::LowComplexity, ..expected });
        }
        let odd = config(13_000, 1, Profile::LowComplexity);
        assert_eq!(AacConfig::read(&odd.core_config()).unwrap(), odd);
    }

    #[test]
    fn what_the_decoder_cannot_do_is_named() {
        for (bytes, name) in [
            (&[0x11, 0xb0][..], "6 channels"),
            (&[0x0a, 0x10], "AAC Main"),
            (&[0x12, 0x14], "960 frames"),
            (&[0x12, 0x00], "layout of its own"),
            (&[0xf8, 0xe8, 0x50, 0x00], "AAC-ELD"),
            (&[0x2b, 0xb2, 0x08, 0x00], "HE-AAC over AAC of 6 channels"),
        ] {
            let problem = AacConfig::read(bytes).unwrap_err().to_string();
            assert!(problem.contains(name), "{problem}");
        }
        assert!(AacConfig::read(&[0x12]).is_err());
        assert!(AacConfig::read(&[]).is_err());
    }

    #[test]
    fn replication_is_told_from_what_looks_like_it() {
        // Some sound, a fill element of two bytes with payload 13, the end mark.
        let bits = "10110010 110 0010 1101 000000000000 111";
        let digits: Vec<u8> = bits.bytes().filter(u8::is_ascii_digit).map(|b| b - b'0').collect();
        let mut packet = vec![0; digits.len().div_ceil(8)];
        for (place, bit) in digits.iter().enumerate() {
            packet[place / 8] |= bit << (7 - place % 8);
        }
        assert!(ends_with_sbr(&packet));
        packet.push(0); // it must end where the packet does
        assert!(!ends_with_sbr(&packet));
        assert!(!ends_with_sbr(&[]));
        assert!(!ends_with_sbr(&[0xff; 40]));
    }
}
