//! Waveforms at one rate into waveforms at another, with the delay removed.
//!
//! In: blocks of samples at any rate that is read. Out: ⌈n · out / in⌉ samples that lie on the
//! ideal band-limited waveform. Refuses nothing: both rates were checked before.
//!
//! A polyphase bank of windowed-sinc filters (J. O. Smith, "Digital Audio Resampling Home Page";
//! window: J. F. Kaiser, 1974). The pass band ends at 0.45 of the lower rate and the stop band
//! begins at 0.5, so that nothing folds back; 110 dB between them. That sets the filter's length
//! to 8.9 ms at a lower rate of 8 kHz and 4.4 ms at 16 kHz, which is also how far an edge of the
//! recording reaches in. Resamplers that work block-wise on long FFTs (rubato's) are sharper, and
//! ring for 60 ms around every onset instead.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "filters are designed in f64 and applied in f32; lengths and phases are positive"
)]
#![expect(
    clippy::inline_always,
    reason = "a loop is compiled for other instructions only where it is inlined"
)]

use std::collections::HashMap;
use std::f64::consts::PI;
use std::sync::{Arc, Mutex, PoisonError};

use pulp::{Simd, WithSimd};

use crate::dot::dot_in;
use crate::units::SampleRate;

/// End of the pass band as a share of the lower rate.
const PASS_BAND: f64 = 0.45;
/// Beginning of the stop band as a share of the lower rate: its Nyquist frequency.
const STOP_BAND: f64 = 0.5;
/// Attenuation in the stop band, and the ripple in the pass band, in dB.
const ATTENUATION_DB: f64 = 110.0;
/// Most phases that are stored one for one. Rates with a small common divisor have more; between
/// the stored ones they are interpolated.
const EXACT_PHASES: usize = 1_024;
/// Phases per sample of the lower rate that interpolation starts from. Linear interpolation errs
/// by at most (π / phases)² / 8, here −118 dB.
const INTERPOLATED_PHASES: f64 = 1_024.0;

/// The filters of one pair of rates: what a [`Resampler`] needs and many can share.
#[derive(Debug)]
pub struct ResampleFilter {
    /// Numerator of out / in in lowest terms.
    up: u64,
    /// Denominator of out / in in lowest terms.
    down: u64,
    /// Taps of one phase; even.
    taps: usize,
    /// Stored phases, not counting the last one, which repeats the first one sample on.
    phases: usize,
    /// `[phases + 1, taps]`, row-major.
    coefficients: Vec<f32>,
}

impl ResampleFilter {
    /// Designs the filters from `input` to `output`.
    pub fn new(input: SampleRate, output: SampleRate) -> Self {
        let (rate_in, rate_out) = (u64::from(input.hertz()), u64::from(output.hertz()));
        let divisor = greatest_common_divisor(rate_in, rate_out);
        let (up, down) = (rate_out / divisor, rate_in / divisor);
        let lower = (rate_in.min(rate_out)) as f64 / rate_in as f64;
        // In units of the input rate. Kaiser's length: (A − 8) / (2.285 Δω), Δω in radians a sample.
        let transition = (STOP_BAND - PASS_BAND) * lower;
        let length = (ATTENUATION_DB - 8.0) / (2.285 * 2.0 * PI * transition);
        let taps = 2 * (length / 2.0).ceil() as usize;
        let phases = match usize::try_from(up) {
            Ok(exact) if exact <= EXACT_PHASES => exact,
            _ => (INTERPOLATED_PHASES * lower).ceil() as usize,
        };
        let cutoff = 0.5 * (PASS_BAND + STOP_BAND) * lower;
        let mut coefficients = Vec::with_capacity((phases + 1) * taps);
        for phase in 0..=phases {
            let offset = phase as f64 / phases as f64;
            coefficients.extend(phase_taps(taps, offset, cutoff));
        }
        Self { up, down, taps, phases, coefficients }
    }

    /// How many samples come out for `samples` that go in: ⌈samples · out / in⌉.
    pub fn output_length(&self, samples: u64) -> u64 {
        let length = (u128::from(samples) * u128::from(self.up)).div_ceil(u128::from(self.down));
        u64::try_from(length).unwrap_or(u64::MAX)
    }

    fn row(&self, phase: usize) -> &[f32] {
        &self.coefficients[phase * self.taps..(phase + 1) * self.taps]
    }
}

/// The taps that weigh the inputs around a point `offset` of a sample behind one of them, summing
/// to one so that a constant stays what it is.
fn phase_taps(taps: usize, offset: f64, cutoff: f64) -> impl Iterator<Item = f32> {
    // Kaiser's β for attenuations above 50 dB.
    let beta = 0.1102 * (ATTENUATION_DB - 8.7);
    let half = (taps / 2) as f64;
    let weights: Vec<f64> = (0..taps)
        .map(|tap| {
            let distance = tap as f64 - (half - 1.0) - offset;
            let angle = 2.0 * PI * cutoff * distance;
            let sinc = if angle.abs() < 1e-12 { 1.0 } else { angle.sin() / angle };
            let edge = 1.0 - (distance / half).powi(2);
            2.0 * cutoff * sinc * bessel_i0(beta * edge.max(0.0).sqrt()) / bessel_i0(beta)
        })
        .collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(move |weight| (weight / sum) as f32)
}

/// The modified Bessel function of the first kind and order zero, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let (mut sum, mut term, mut k) = (1.0, 1.0, 1.0);
    while term > sum * 1e-17 {
        term *= quarter / (k * k);
        sum += term;
        k += 1.0;
    }
    sum
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Filters that were designed before, shared by all who resample between the same rates.
#[derive(Debug, Default)]
pub struct FilterCache {
    filters: Mutex<HashMap<(SampleRate, SampleRate), Arc<ResampleFilter>>>,
}

impl FilterCache {
    /// Most filters that are kept. Real collections have a handful of rates; one with more is
    /// hostile, and pays with time rather than with our memory.
    const CAPACITY: usize = 32;

    /// The filter from `input` to `output`, designed on first use.
    pub fn get(&self, input: SampleRate, output: SampleRate) -> Arc<ResampleFilter> {
        let mut filters = self.filters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(filter) = filters.get(&(input, output)) {
            return Arc::clone(filter);
        }
        if filters.len() >= Self::CAPACITY {
            filters.clear();
        }
        let filter = Arc::new(ResampleFilter::new(input, output));
        filters.insert((input, output), Arc::clone(&filter));
        filter
    }
}

/// A streaming resampler of one recording.
#[derive(Debug)]
pub struct Resampler {
    filter: Arc<ResampleFilter>,
    arch: pulp::Arch,
    /// Inputs that are still needed; at the start the zeros before the first sample.
    pending: Vec<f32>,
    /// The next output's first input, counted from the beginning of `pending`.
    next: usize,
    /// How far behind that input's centre the next output lies, in units of 1 / up.
    remainder: u64,
    received: u64,
    produced: u64,
}

impl Resampler {
    /// A resampler at the beginning of a recording.
    pub fn new(filter: Arc<ResampleFilter>) -> Self {
        let before = filter.taps / 2 - 1;
        Self {
            filter,
            arch: pulp::Arch::new(),
            pending: vec![0.0; before],
            next: 0,
            remainder: 0,
            received: 0,
            produced: 0,
        }
    }

    /// Takes the next samples and appends what can be computed from them to `output`.
    pub fn push(&mut self, input: &[f32], output: &mut Vec<f32>) {
        self.received += input.len() as u64;
        if self.filter.up == self.filter.down {
            output.extend_from_slice(input);
            return;
        }
        self.pending.extend_from_slice(input);
        self.run(u64::MAX, output);
    }

    /// Appends the rest, as if silence followed the recording.
    pub fn finish(&mut self, output: &mut Vec<f32>) {
        if self.filter.up == self.filter.down {
            return;
        }
        let zeros = self.filter.taps / 2 + 1;
        self.pending.resize(self.pending.len() + zeros, 0.0);
        self.run(self.filter.output_length(self.received), output);
    }

    /// Computes outputs up to number `end`, as far as the inputs reach.
    fn run(&mut self, end: u64, output: &mut Vec<f32>) {
        let mut place =
            Place { next: self.next, remainder: self.remainder, produced: self.produced };
        self.arch.dispatch(Run {
            filter: &self.filter,
            pending: &self.pending,
            place: &mut place,
            end,
            output,
        });
        let Place { next, remainder, produced } = place;
        // The next output may lie beyond what is there yet, when the rate falls.
        let done = next.min(self.pending.len());
        self.pending.drain(..done);
        (self.next, self.remainder, self.produced) = (next - done, remainder, produced);
    }
}

/// Where the next output lies.
struct Place {
    next: usize,
    remainder: u64,
    produced: u64,
}

/// The loop over outputs, for the processor's widest instructions.
struct Run<'a> {
    filter: &'a ResampleFilter,
    pending: &'a [f32],
    place: &'a mut Place,
    end: u64,
    output: &'a mut Vec<f32>,
}

impl WithSimd for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { filter, pending, place, end, output } = self;
        let (step, step_remainder) = (filter.down / filter.up, filter.down % filter.up);
        while place.produced < end {
            let Some(inputs) = pending.get(place.next..place.next + filter.taps) else { break };
            output.push(interpolate(simd, filter, place.remainder, inputs));
            place.produced += 1;
            // Output m lies at input position m · down / up.
            place.next += step as usize;
            place.remainder += step_remainder;
            if place.remainder >= filter.up {
                place.remainder -= filter.up;
                place.next += 1;
            }
        }
    }
}

/// One output: the inputs weighed by the phase `remainder / up`.
#[inline(always)]
fn interpolate<S: Simd>(simd: S, filter: &ResampleFilter, remainder: u64, inputs: &[f32]) -> f32 {
    if filter.phases as u64 == filter.up {
        return dot_in(simd, filter.row(remainder as usize), inputs);
    }
    let position = remainder as f64 / filter.up as f64 * filter.phases as f64;
    let phase = position as usize;
    let share = (position - phase as f64) as f32;
    let low = dot_in(simd, filter.row(phase), inputs);
    let high = dot_in(simd, filter.row(phase + 1), inputs);
    low + share * (high - low)
}

#[cfg(test)]
mod tests;
