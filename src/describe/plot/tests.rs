//! What is drawn, by its data: pixels are looked at by people.

use std::f64::consts::PI;
use std::path::Path;

use super::raster::{LevelRange, spectrogram};
use super::*;
use crate::audio::excerpt::Part;

fn outline(folder: &Path, sample: impl Fn(f64) -> f64, seconds: u32) -> Outline {
    let path = folder.join("sound.wav");
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(&path, spec).unwrap();
    for n in 0..seconds * 16_000 {
        #[expect(clippy::cast_possible_truncation, reason = "16 bits are what is written")]
        writer.write_sample((sample(f64::from(n) / 16_000.0) * 32_767.0) as i16).unwrap();
    }
    writer.finalize().unwrap();
    Outline::read(&path, Part::default()).unwrap()
}

fn lightness(pixel: colour::Rgb) -> u32 {
    pixel.iter().map(|&value| u32::from(value)).sum()
}

#[test]
fn a_tone_of_1_khz_is_a_dark_row_at_its_tick() {
    let folder = tempfile::tempdir().unwrap();
    // In the second half only.
    let tone = |s: f64| if s < 1.0 { 0.0 } else { 0.5 * (2.0 * PI * 1_000.0 * s).sin() };
    let outline = outline(folder.path(), tone, 2);
    let (raster, range) = spectrogram(&outline.spectrogram, (400, 256));
    assert_eq!((raster.width, raster.height, raster.pixels.len()), (400, 256, 400 * 256));
    let column = |x: usize| (0..256).map(move |y| y * 400 + x);
    let darkest = column(300).min_by_key(|&at| lightness(raster.pixels[at])).unwrap() / 400;
    let tick = 256.0 * (1.0 - outline.spectrogram.height(1_000.0));
    // A band is two pixels high.
    assert!((darkest as f64 + 0.5 - tick).abs() <= 2.0, "{darkest}, {tick}");
    // −6 dB, so that the range ends at 0.
    assert!((range.high_db - 0.0).abs() < 1e-6, "{range:?}");
    assert!(column(100).all(|at| raster.pixels[at] == colour::colour(0.0)), "silence is white");
    assert!((outline.envelope.peak() - 0.5).abs() < 1e-3);
    let extents = outline.envelope.extents(2);
    assert!(extents[0].highest < 1e-6 && extents[1].lowest < -0.49, "{extents:?}");
}

#[test]
fn ranges_have_room_and_an_end() {
    let silent = LevelRange { low_db: -80.0, high_db: 0.0 };
    assert_eq!(LevelRange::of(&[-120.0; 10]), silent);
    assert_eq!(LevelRange::of(&[]), silent);
    assert_eq!(LevelRange::of(&[-42.0; 10]), LevelRange { low_db: -70.0, high_db: -40.0 });
    let wide: Vec<f32> = (0..=1_000_u16).map(|n| -f32::from(n) / 10.0 - 1.0).collect();
    assert_eq!(LevelRange::of(&wide), LevelRange { low_db: -80.0, high_db: 0.0 });
}

#[test]
fn names_are_escaped_and_shortened() {
    assert_eq!(escaped("a<b>&\"c\""), "a&lt;b&gt;&amp;&quot;c&quot;");
    assert_eq!(one_line("a\nb\u{ffff}"), "a\u{fffd}b\u{fffd}");
    assert_eq!(shortened("abcdef", 4), "abc…");
}

#[test]
fn a_picture_is_whole_whatever_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let outline = outline(folder.path(), |_| 0.0, 1);
    let title = "<&\" \u{1}犬.wav>";
    let picture =
        Figure { title, outline: &outline, hearings: &[], pitches: &[], lanes: 8 }.draw().unwrap();
    let svg = picture.to_svg().unwrap();
    assert!(svg.contains("time, s") && svg.contains("frequency, kHz"), "{svg}");
    assert!(svg.contains("silent") && svg.contains("data:image/png;base64,"));
    assert!(svg.contains("<title>&lt;&amp;&quot; \u{fffd}犬.wav&gt;</title>"), "{svg}");
    let options = resvg::usvg::Options::default();
    resvg::usvg::Tree::from_str(&svg, &options).unwrap();
    let png = resvg::tiny_skia::Pixmap::decode_png(&picture.to_png().unwrap()).unwrap();
    assert_eq!((png.width(), png.height()), picture.size);
}
