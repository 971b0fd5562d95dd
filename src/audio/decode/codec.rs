//! Packets into samples: which codec a track has, and who decodes it.
//!
//! In: a track's parameters and its packets. Out: interleaved float32. Refuses codecs that nobody
//! here decodes, by their names.

use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_AAC, CODEC_ID_AC3, CODEC_ID_AC4, CODEC_ID_ALAC, CODEC_ID_DCA, CODEC_ID_EAC3,
    CODEC_ID_FLAC, CODEC_ID_MUSEPACK, CODEC_ID_OPUS, CODEC_ID_SPEEX, CODEC_ID_TRUEHD, CODEC_ID_TTA,
    CODEC_ID_WAVPACK, CODEC_ID_WMA,
};
use symphonia::core::codecs::audio::{
    AudioCodecId, AudioCodecParameters, AudioDecoder, AudioDecoderOptions,
};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::packet::Packet;

use super::aac::{AacConfig, Profile};
use super::opus::{self, OpusCodec, OpusHead};
use super::packets::copy_interleaved;
use super::preroll::Preroll;
use super::{Decoded, StreamFormat};
use crate::error::DecodeProblem;

/// A decoder and what it gives.
pub(super) struct Codec {
    decoder: Decoder,
    pub(super) format: StreamFormat,
    /// Frames that the codec's own header says to drop at the beginning.
    pub(super) pre_skip: u64,
    /// Whether only packets say how many channels there are: MPEG audio in MP4.
    pub(super) packets_say_channels: bool,
}

enum Decoder {
    Symphonia(Box<dyn AudioDecoder>),
    Opus(Box<OpusCodec>),
}

/// What a packet held.
#[derive(Clone, Copy)]
pub(super) struct Samples {
    pub(super) frames: usize,
    pub(super) channels: usize,
}

impl Codec {
    pub(super) fn open(parameters: &AudioCodecParameters) -> Decoded<Self> {
        match parameters.codec {
            CODEC_ID_OPUS => Self::open_opus(parameters),
            CODEC_ID_AAC => Self::open_aac(parameters),
            _ => {
                let decoder = make_decoder(parameters)?;
                let name = decoder.codec_info().short_name;
                let rate = alac_rate(parameters).or(parameters.sample_rate).unwrap_or(0);
                // What the codec's own header says goes before what the container does.
                let channels = decoder.codec_params().channels.as_ref();
                let channels = channels.or(parameters.channels.as_ref()).map_or(0, Channels::count);
                let packets_say_channels = channels == 0 && matches!(name, "mp1" | "mp2" | "mp3");
                // Until a packet has said otherwise.
                let channels = if packets_say_channels { 1 } else { channels };
                let format = StreamFormat::new(rate, channels, name)?;
                Ok(Self { packets_say_channels, ..Self::symphonia(decoder, format) })
            }
        }
    }

    /// Takes the number of channels from a packet of MPEG audio (ISO 11172-3, 2.4.1.3: the mode is
    /// in the first two bits of the fourth byte, and 3 is a single channel).
    pub(super) fn take_channels(&mut self, packet: &[u8]) {
        let is_mono = packet.get(3).is_some_and(|byte| byte >> 6 == 3);
        self.format.channels = if is_mono { 1 } else { 2 };
    }

    fn symphonia(decoder: Box<dyn AudioDecoder>, format: StreamFormat) -> Self {
        let decoder = Decoder::Symphonia(decoder);
        Self { decoder, format, pre_skip: 0, packets_say_channels: false }
    }

    fn open_opus(parameters: &AudioCodecParameters) -> Decoded<Self> {
        let head = OpusHead::read(parameters.extra_data.as_deref().unwrap_or_default())?;
        let format = StreamFormat::new(opus::SAMPLE_RATE, head.channels.into(), "opus")?;
        let pre_skip = head.pre_skip.into();
        let decoder = Decoder::Opus(Box::new(OpusCodec::new(head)?));
        Ok(Self { decoder, format, pre_skip, packets_say_channels: false })
    }

    fn open_aac(parameters: &AudioCodecParameters) -> Decoded<Self> {
        let config = AacConfig::read(parameters.extra_data.as_deref().unwrap_or_default())?;
        let name = config.profile.codec_name();
        let format = StreamFormat::new(config.sample_rate, config.channels.into(), name)?;
        let mut core = AudioCodecParameters::new();
        core.for_codec(CODEC_ID_AAC)
            .with_sample_rate(config.sample_rate)
            .with_extra_data(config.core_config().into());
        Ok(Self::symphonia(make_decoder(&core)?, format))
    }

    /// Marks an AAC track whose packets, not its header, show that it is HE-AAC.
    pub(super) fn mark_he_aac(&mut self) {
        Profile::Sbr.codec_name().clone_into(&mut self.format.codec);
    }

    /// What has to be decoded before a packet for it to become what it would be if all had been, or close
    /// to that; nothing, where that takes all of them.
    pub(super) fn preroll(&self) -> Option<Preroll> {
        match self.format.codec.as_str() {
            "flac" => Some(Preroll::Packets(0)),
            // RFC 7845, section 4.6, has 80 ms: a decoder is close then. After a second, in our tests with
            // packets of 20 and 60 ms, what is left of the difference is below 16 bits.
            "opus" => Some(Preroll::Frames(opus::SAMPLE_RATE.into())),
            // A block overlaps with the one before (Vorbis I specification, 1.3.2).
            "vorbis" => Some(Preroll::Packets(1)),
            "mp1" | "mp2" | "mp3" => Some(Preroll::MpegAudio),
            _ => None,
        }
    }

    /// Replaces `interleaved` by the samples of `packet`; nothing when it is damaged.
    pub(super) fn decode(
        &mut self,
        packet: &Packet,
        interleaved: &mut Vec<f32>,
    ) -> Option<Samples> {
        match &mut self.decoder {
            Decoder::Opus(codec) => {
                let channels = self.format.channels.into();
                let frames = codec.decode(&packet.data, interleaved);
                frames
                    .map(|frames| Samples { frames: frames.saturating_sub(trim(packet)), channels })
            }
            // This one trims by itself.
            Decoder::Symphonia(decoder) => match decoder.decode(packet) {
                Ok(decoded) => {
                    let spec = decoded.spec();
                    let channels = spec.channels().count();
                    if spec.rate() != self.format.sample_rate.hertz() || channels == 0 {
                        return None;
                    }
                    let frames = decoded.frames();
                    copy_interleaved(&decoded, interleaved);
                    Some(Samples { frames, channels })
                }
                // Of reading, too: the packet is in memory, and ends too early.
                Err(_) => None,
            },
        }
    }

    /// Frames of a packet that does not decode: the container's word, or else the packet's own.
    pub(super) fn frames_of(&self, packet: &Packet) -> Option<u64> {
        let said = Some(packet.dur.get()).filter(|&frames| frames > 0);
        match self.decoder {
            Decoder::Opus(_) => {
                said.or_else(|| opus::packet_frames(&packet.data).map(|frames| frames as u64))
            }
            Decoder::Symphonia(_) => said,
        }
    }

    /// Whether the checksum of all samples, where there is one, is wrong.
    pub(super) fn checksum_is_wrong(&mut self) -> bool {
        match &mut self.decoder {
            Decoder::Symphonia(decoder) => decoder.finalize().verify_ok == Some(false),
            Decoder::Opus(_) => false,
        }
    }
}

/// Frames that a container says to drop at the end of a packet.
fn trim(packet: &Packet) -> usize {
    usize::try_from(packet.trim_end.get()).unwrap_or(usize::MAX)
}

/// ALAC's own header knows rates that MP4's field of 16 bits does not.
fn alac_rate(parameters: &AudioCodecParameters) -> Option<u32> {
    let header = parameters.extra_data.as_deref().filter(|_| parameters.codec == CODEC_ID_ALAC)?;
    header.get(20..24).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes)
}

fn make_decoder(parameters: &AudioCodecParameters) -> Decoded<Box<dyn AudioDecoder>> {
    // FLAC carries an MD5 of its samples, and the decoder does not look at the frames' own
    // checksums: without this, damage passes for sound.
    let options = AudioDecoderOptions::default().verify(parameters.codec == CODEC_ID_FLAC);
    symphonia::default::get_codecs().make_audio_decoder(parameters, &options).map_err(|error| {
        match error {
            SymphoniaError::Unsupported(_) => {
                DecodeProblem::UnknownCodec { codec: codec_name(parameters.codec).to_owned() }
            }
            error => DecodeProblem::decoder(error),
        }
    })
}

/// Names of codecs that containers carry and nobody here decodes.
fn codec_name(codec: AudioCodecId) -> &'static str {
    match codec {
        CODEC_ID_AAC => "AAC of a kind",
        CODEC_ID_AC3 => "AC-3",
        CODEC_ID_AC4 => "AC-4",
        CODEC_ID_ALAC => "ALAC of a kind",
        CODEC_ID_DCA => "DTS",
        CODEC_ID_EAC3 => "E-AC-3",
        CODEC_ID_MUSEPACK => "Musepack",
        CODEC_ID_SPEEX => "Speex",
        CODEC_ID_TRUEHD => "TrueHD",
        CODEC_ID_TTA => "TTA",
        CODEC_ID_WAVPACK => "WavPack",
        CODEC_ID_WMA => "WMA",
        _ => "an unknown codec",
    }
}
