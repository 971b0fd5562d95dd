//! What a model of the user's own has to show before it is taken in.
//!
//! In: a model. Out: the length of its vectors, how fast it is, and whether 16 bits hold them. Refuses one that gives no
//! numbers for silence, the same vector for everything, or another vector for the same sound when
//! it hears it twice or beside others: what is stored could not be compared.

use std::time::Instant;

use crate::error::{AddedProblem, Error, Result};
use crate::frontend::patch::PatchStream;
use crate::frontend::spec::FrontEnd;
use crate::model::network::Batch;
use crate::model::torchscript::{Module, first_line};
use crate::model::{EmbeddingModel, probe};

/// What vectors of the same sound may differ by, of their length. Float32 rounds to 6e-8 and sums of
/// thousands in another order give some 1e-5; graphics processors round products to 10 bits
/// (TF32), which is 1e-3. A tenth of a dropout's effect is far more.
const MOST_DIFFERENCE: f64 = 1e-3;
/// Vectors of a tone and of noise that differ by less are the same one.
const LEAST_DIFFERENCE: f64 = 1e-6;

/// The sounds that a model is asked, in this order.
const SOUNDS: [&str; 3] = ["a rising tone", "noise", "silence"];

/// What was found out about a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Inspected {
    /// Seconds of sound that it embeds in a second.
    pub(super) audio_s_per_s: f64,
    /// Whether it gave values that float16 does not hold.
    pub(super) is_too_large_for_half: bool,
}

/// The length of the vectors that `module` gives.
pub(super) fn dimension(module: &Module, model: &str) -> Result<usize> {
    // Two: one that takes the batch for something else shows with more than one.
    let (count, (shape, meaning)) = (2, module.input(2));
    let values = noise(shape.iter().product());
    let given = module.forward(&values, count).map_err(|error| {
        let source = first_line(&error).into();
        AddedProblem::Input { model: model.to_owned(), shape, meaning, source }
    })?;
    given.vectors(model, count).map(|(dimension, _)| dimension)
}

/// Puts `model` to the test.
pub(super) fn inspect(model: &EmbeddingModel) -> Result<Inspected> {
    let name = || model.identity().name.clone();
    let patches = sounds(&model.front_end());
    let together = embed(model, &patches.concat())?;
    for (sound, vector) in SOUNDS.into_iter().zip(&together) {
        if vector.iter().any(|value| !value.is_finite()) {
            return Err(AddedProblem::NotFinite { model: name(), sound }.into());
        }
    }
    if together[..2].iter().any(|vector| length(vector) == 0.0)
        || difference(&together[0], &together[1]) < LEAST_DIFFERENCE
    {
        return Err(AddedProblem::Constant { model: name() }.into());
    }
    let require_same = |when, first: &[f32], second: &[f32]| {
        let difference = difference(first, second);
        // Not the other way round: NaN is no agreement.
        if difference <= MOST_DIFFERENCE {
            return Ok(());
        }
        let most = MOST_DIFFERENCE;
        Err(Error::from(AddedProblem::NotDeterministic { model: name(), when, difference, most }))
    };
    for (first, second) in together.iter().zip(&embed(model, &patches.concat())?) {
        require_same("when it hears it again", first, second)?;
    }
    for (patch, beside) in patches.iter().zip(&together) {
        for alone in embed(model, patch)? {
            require_same("alone and beside others", &alone, beside)?;
        }
    }
    let is_too_large = |&value: &f32| half::f16::from_f32(value).is_infinite();
    Ok(Inspected {
        audio_s_per_s: speed(model, &patches)?,
        is_too_large_for_half: together.iter().flatten().any(is_too_large),
    })
}

/// Times a batch of the size that indexing will use; warm by now.
fn speed(model: &EmbeddingModel, patches: &[Vec<f32>]) -> Result<f64> {
    let count = model.card().batch_patches;
    let batch: Vec<f32> = patches.iter().cycle().take(count).flatten().copied().collect();
    let started = Instant::now();
    embed(model, &batch)?;
    let elapsed_s = started.elapsed().as_secs_f64().max(1e-9);
    let front_end = model.front_end();
    let hop_s = front_end.patch_hop_samples() as f64 / f64::from(front_end.sample_rate);
    let speed = count as f64 * hop_s / elapsed_s;
    // Three digits are more than a single measurement is worth.
    let digits = 10_f64.powf(2.0 - speed.log10().floor());
    Ok((speed * digits).round() / digits)
}

/// The vectors of whole patches; all steps of one in a row.
fn embed(model: &EmbeddingModel, patches: &[f32]) -> Result<Vec<Vec<f32>>> {
    let count = patches.len() / model.front_end().patch_values();
    let sound_samples = vec![model.front_end().patch_samples; count];
    let output = model.embed_batch(&Batch { values: patches, sound_samples: &sound_samples })?;
    let values = output.embeddings.len() / count;
    Ok(output.embeddings.chunks_exact(values.max(1)).map(<[f32]>::to_vec).collect())
}

/// A patch of each of [`SOUNDS`].
fn sounds(front_end: &FrontEnd) -> Vec<Vec<f32>> {
    let tone = probe::samples(*front_end);
    let (noise, silence) = (noise(tone.len()), vec![0.0; tone.len()]);
    [tone, noise, silence].iter().map(|samples| patch(front_end, samples)).collect()
}

/// Numbers between −0.5 and 0.5 that look like chance.
fn noise(count: usize) -> Vec<f32> {
    let mut state = 7_u32;
    let mut next = || {
        // The generator of "Numerical Recipes", 3rd edition, section 7.1.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..count).map(|_| next()).collect()
}

/// The first patch of `samples`, padded with silence where they are too short.
fn patch(front_end: &FrontEnd, samples: &[f32]) -> Vec<f32> {
    let (mut stream, mut patches) = (PatchStream::new(*front_end), Vec::new());
    stream.push(samples, &mut patches);
    stream.finish(&mut patches);
    patches.truncate(front_end.patch_values());
    patches
}

/// The length of the difference of two vectors, by the first one's; that of itself, where the
/// first is all zeros.
fn difference(first: &[f32], second: &[f32]) -> f64 {
    let apart: Vec<f32> = first.iter().zip(second).map(|(a, b)| a - b).collect();
    match (length(&apart), length(first)) {
        (apart, 0.0) => apart,
        (apart, first) => apart / first,
    }
}

fn length(vector: &[f32]) -> f64 {
    vector.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}
