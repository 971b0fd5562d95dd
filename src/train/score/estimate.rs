//! A number and how far it may be from the truth.
//!
//! In: the value on all held-out rows, and on resamples of them. Out: [`Estimate`]. Refuses an
//! interval where resampling cannot give one.

use serde::{Deserialize, Serialize};

/// A number with its interval of 95 %; what is not defined is `None`, never 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The number on all held-out rows.
    pub value: Option<f64>,
    /// The lower end of its interval.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
}

/// What part of the resamples lies outside of the interval, on each side.
const TAIL: f64 = 0.025;

impl Estimate {
    /// A number without an interval.
    pub fn bare(value: Option<f64>) -> Self {
        Self { value: value.filter(|value| value.is_finite()), low: None, high: None }
    }

    /// A number with the percentile interval of its `resampled` values (A. C. Davison and D. V.
    /// Hinkley, Bootstrap Methods and their Application, 1997, section 5.3.1): from the 2.5th to
    /// the 97.5th percentile of those that are defined.
    ///
    /// There is no interval where more than half of the resamples are undefined, or where all are
    /// equal: no width is what too few rows look like, not certainty.
    pub fn resampled(value: Option<f64>, resampled: impl IntoIterator<Item = Option<f64>>) -> Self {
        let estimate = Self::bare(value);
        let (mut all, mut values) = (0_usize, Vec::new());
        for value in resampled {
            all += 1;
            values.extend(value.filter(|value| value.is_finite()));
        }
        if estimate.value.is_none() || values.is_empty() || values.len() * 2 < all {
            return estimate;
        }
        values.sort_unstable_by(f64::total_cmp);
        let (low, high) = (quantile(&values, TAIL), quantile(&values, 1.0 - TAIL));
        if low >= high {
            return estimate;
        }
        Self { low: Some(low), high: Some(high), ..estimate }
    }
}

/// The quantile `part` of `sorted`, which is not empty, with straight lines between its values (R.
/// J. Hyndman and Y. Fan, "Sample quantiles in statistical packages", 1996, definition 7).
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let place = part * (sorted.len() - 1) as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place within the slice"
    )]
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

/// Modules that write an [`Estimate`] as three numbers beside one another: `accuracy`,
/// `accuracy_low` and `accuracy_high`.
macro_rules! beside_one_another {
    ($($name:ident: $low:literal, $high:literal;)*) => {$(
        pub(in crate::train) mod $name {
            use serde::{Deserialize, Deserializer, Serialize, Serializer};

            use super::super::Estimate;

            #[derive(Serialize, Deserialize)]
            struct Written {
                $name: Option<f64>,
                #[serde(rename = $low)]
                low: Option<f64>,
                #[serde(rename = $high)]
                high: Option<f64>,
            }

            pub(in crate::train) fn serialize<S: Serializer>(
                estimate: &Estimate,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                let Estimate { value, low, high } = *estimate;
                Written { $name: value, low, high }.serialize(serializer)
            }

            pub(in crate::train) fn deserialize<'de, D: Deserializer<'de>>(
                deserializer: D,
            ) -> Result<Estimate, D::Error> {
                let Written { $name: value, low, high } = Written::deserialize(deserializer)?;
                Ok(Estimate { value, low, high })
            }
        }
    )*};
}

/// How estimates are written by name.
pub(in crate::train) mod written {
    beside_one_another! {
        accuracy: "accuracy_low", "accuracy_high";
        balanced_accuracy: "balanced_accuracy_low", "balanced_accuracy_high";
        macro_f1: "macro_f1_low", "macro_f1_high";
        macro_roc_auc: "macro_roc_auc_low", "macro_roc_auc_high";
        mean_average_precision: "mean_average_precision_low", "mean_average_precision_high";
        mean_absolute_error: "mean_absolute_error_low", "mean_absolute_error_high";
        root_mean_square_error: "root_mean_square_error_low", "root_mean_square_error_high";
        r_squared: "r_squared_low", "r_squared_high";
        spearman: "spearman_low", "spearman_high";
        pearson: "pearson_low", "pearson_high";
        precision_at_1: "precision_at_1_low", "precision_at_1_high";
        precision_at_5: "precision_at_5_low", "precision_at_5_high";
        precision_at_10: "precision_at_10_low", "precision_at_10_high";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_holds_the_middle_of_the_resamples() {
        let values = (0..=1000).map(|value| Some(f64::from(value)));
        let estimate = Estimate::resampled(Some(500.0), values);
        assert_eq!(estimate, Estimate { value: Some(500.0), low: Some(25.0), high: Some(975.0) });
    }

    #[test]
    fn what_resampling_cannot_say_is_not_said() {
        let none = Estimate::bare(Some(1.0));
        assert_eq!(Estimate::resampled(Some(1.0), []), none);
        assert_eq!(Estimate::resampled(Some(1.0), [Some(1.0), Some(1.0)]), none);
        assert_eq!(Estimate::resampled(Some(1.0), [Some(0.5), None, None]), none);
        assert_eq!(Estimate::resampled(None, [Some(0.5), Some(0.7)]), Estimate::default());
        assert_eq!(Estimate::bare(Some(f64::NAN)), Estimate::default());
    }
}
