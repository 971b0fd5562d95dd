use super::*;
use proptest::prelude::*;

const OUTPUT: u32 = 16_000;

/// Samples that lie nearer than this to an end are not judged: the recording's edge is a step, and
/// no band-limited waveform has one.
const EDGE_S: f64 = 0.010;

fn resample(rate_in: u32, rate_out: u32, input: &[f32], block: usize) -> Vec<f32> {
    let rates = (SampleRate::new(rate_in).unwrap(), SampleRate::new(rate_out).unwrap());
    let mut resampler = Resampler::new(Arc::new(ResampleFilter::new(rates.0, rates.1)));
    let mut output = Vec::new();
    for block in input.chunks(block) {
        resampler.push(block, &mut output);
    }
    resampler.finish(&mut output);
    output
}

fn tone(rate: u32, hertz: f64, samples: usize) -> Vec<f64> {
    (0..samples).map(|n| (2.0 * PI * hertz * n as f64 / f64::from(rate) + 0.3).sin()).collect()
}

/// The largest error against the ideal tone, away from the edges, in dB of full scale.
fn tone_error_db(rate: u32, hertz: f64) -> f64 {
    let input: Vec<f32> = tone(rate, hertz, rate as usize / 4).iter().map(|&x| x as f32).collect();
    let output = resample(rate, OUTPUT, &input, 777);
    let ideal = tone(OUTPUT, hertz, output.len());
    let edge = (EDGE_S * f64::from(OUTPUT)) as usize;
    let worst = (edge..output.len() - edge)
        .map(|n| (f64::from(output[n]) - ideal[n]).abs())
        .fold(0.0, f64::max);
    20.0 * worst.log10()
}

#[test]
fn tones_in_the_pass_band_come_out_ideal() {
    // Rates of every kind: upwards, downwards, odd ones, coprime ones, and the extremes.
    for rate in [
        8_000, 8_012, 11_025, 11_127, 12_000, 15_999, 16_001, 22_050, 24_000, 32_000, 37_800,
        44_056, 44_100, 47_999, 48_000, 88_200, 96_000, 176_400, 191_999, 192_000,
    ] {
        for share in [0.001, 0.1, 0.25, 0.4, 0.45] {
            let hertz = share * f64::from(rate.min(OUTPUT));
            let error = tone_error_db(rate, hertz);
            // The bound is −90; the design leaves a margin of 10 dB over it.
            assert!(error < -100.0, "{rate} Hz, tone of {hertz} Hz: {error:.1} dB");
        }
    }
}

#[test]
fn nothing_above_the_output_s_nyquist_frequency_folds_back() {
    for rate in [44_100, 48_000, 192_000] {
        for hertz in [8_050.0, 8_500.0, 12_000.0, 16_000.0, 20_000.0] {
            let input: Vec<f32> =
                tone(rate, hertz, rate as usize / 4).iter().map(|&x| x as f32).collect();
            let output = resample(rate, OUTPUT, &input, 4_096);
            let edge = (EDGE_S * f64::from(OUTPUT)) as usize;
            let worst = output[edge..output.len() - edge]
                .iter()
                .fold(0.0_f32, |worst, x| worst.max(x.abs()));
            assert!(worst < 1e-5, "{rate} Hz: {hertz} Hz leaks {worst}");
        }
    }
}

#[test]
fn the_delay_is_removed() {
    // A ramp shows a shift of any fraction of a sample: its value is its time.
    for rate in [8_000_u32, 11_127, 44_100, 48_000, 96_000] {
        let input: Vec<f32> = (0..rate / 2).map(|n| n as f32 / rate as f32).collect();
        let output = resample(rate, OUTPUT, &input, 1_000);
        let edge = (EDGE_S * f64::from(OUTPUT)) as usize;
        for (n, value) in output.iter().enumerate().take(output.len() - edge).skip(edge) {
            let expected = n as f64 / f64::from(OUTPUT);
            // 1e-6 s is a sixtieth of a sample; float32 has 3e-8 here.
            assert!((f64::from(*value) - expected).abs() < 1e-6, "{rate} Hz, sample {n}");
        }
    }
}

#[test]
fn the_same_rate_passes_through() {
    let input: Vec<f32> = (0..1_000).map(|n| (n as f32).sin()).collect();
    assert_eq!(resample(16_000, 16_000, &input, 64), input);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn length_is_exact_and_blocks_do_not_matter(
        rate in 1_000_u32..=384_000,
        samples in 1_usize..6_000,
        block in 1_usize..3_000,
    ) {
        let input: Vec<f32> = (0..samples).map(|n| (n as f32 * 0.37).sin()).collect();
        let whole = resample(rate, OUTPUT, &input, samples);
        let expected = (samples as u64 * u64::from(OUTPUT)).div_ceil(u64::from(rate));
        prop_assert_eq!(whole.len() as u64, expected);
        prop_assert_eq!(resample(rate, OUTPUT, &input, block), whole);
    }
}
