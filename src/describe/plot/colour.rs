//! Numbers into colours.
//!
//! In: a share from 0 to 1. Out: a colour of sRGB. More is darker, in even steps of lightness as
//! people see it, so that the picture says the same in grey, and in the end the same as ink on
//! paper; hues tell levels apart where there is colour.

use std::sync::LazyLock;

/// Red, green and blue.
pub type Rgb = [u8; 3];

/// Lightness of the least and of the most: nearly white, and dark enough to read as black.
const LIGHTNESS: (f64, f64) = (0.985, 0.2);
/// Hue of the least and of the most, in degrees: yellow by way of red to violet.
const HUE: (f64, f64) = (100.0, -75.0);
/// The strongest colour, half-way: inside of sRGB for all of these hues.
const CHROMA: f64 = 0.15;
const SHADES: usize = 256;

static MAP: LazyLock<Vec<Rgb>> = LazyLock::new(|| {
    (0..SHADES).map(|shade| shade_of(shade as f64 / (SHADES - 1) as f64)).collect()
});

/// The colour of `share`; of less than 0 as of 0, of more than 1 as of 1, of NaN as of 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and the number of shades"
)]
pub fn colour(share: f32) -> Rgb {
    let shade = (share.clamp(0.0, 1.0) * (SHADES - 1) as f32).round() as usize;
    MAP.get(shade).copied().unwrap_or([255; 3])
}

/// Between two numbers, evenly.
fn between((from, to): (f64, f64), share: f64) -> f64 {
    from + (to - from) * share
}

/// A colour of Oklab: B. Ottosson, "A perceptual color space for image processing" (2020).
fn shade_of(share: f64) -> Rgb {
    let lightness = between(LIGHTNESS, share);
    let hue = between(HUE, share).to_radians();
    let chroma = CHROMA * (std::f64::consts::PI * share).sin();
    let (a, b) = (chroma * hue.cos(), chroma * hue.sin());
    let long = (lightness + 0.3963377774 * a + 0.2158037573 * b).powi(3);
    let middle = (lightness - 0.1055613458 * a - 0.0638541728 * b).powi(3);
    let short = (lightness - 0.0894841775 * a - 1.2914855480 * b).powi(3);
    [
        4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short,
    ]
    .map(encoded)
}

/// Linear light as sRGB encodes it: IEC 61966-2-1.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 255")]
fn encoded(linear: f64) -> u8 {
    let linear = linear.clamp(0.0, 1.0);
    let value =
        if linear <= 0.0031308 { 12.92 * linear } else { 1.055 * linear.powf(1.0 / 2.4) - 0.055 };
    (value * 255.0).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CIE L*, from 0 to 100.
    fn lightness(rgb: Rgb) -> f64 {
        let linear = rgb.map(|value| {
            let value = f64::from(value) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        });
        let luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
        116.0 * luminance.cbrt() - 16.0
    }

    #[test]
    fn more_is_darker_in_even_steps() {
        let all: Vec<f64> = MAP.iter().map(|&rgb| lightness(rgb)).collect();
        assert!(all[0] > 95.0 && all[SHADES - 1] < 15.0, "{} {}", all[0], all[SHADES - 1]);
        for pair in all.windows(9) {
            let step = pair[0] - pair[8];
            // The mean of 8 shades is 2.7; Oklab's lightness and CIE's agree on greys only.
            assert!((1.0..5.0).contains(&step), "{step}");
        }
        assert!(all.windows(2).all(|pair| pair[1] < pair[0] + 0.2));
    }

    #[test]
    fn whatever_is_no_share_has_a_colour() {
        assert_eq!(colour(f32::NAN), colour(0.0));
        assert_eq!(colour(-3.0), colour(0.0));
        assert_eq!(colour(7.0), colour(1.0));
    }
}
