//! A TorchScript module of the user's own.
//!
//! In: patches, `[patches, samples]` or `[patches, frames, mels]`, and the bytes of an archive that
//! `torch.jit.save` wrote. Out: embeddings `[patches, dimension]`, always in float32. Refuses
//! archives that libtorch does not load, and anything but one vector a patch.
//!
//! A module is a program. libtorch's interpreter gives it tensors and no Python, but whoever adds
//! one trusts whoever made it.

use std::path::Path;
use std::sync::Arc;

use tch::{CModule, IValue, Kind, Tensor};

use super::compute::{Compute, Precision};
use super::network::{Batch, Network, NetworkOutput};
use super::torch::{Place, Torch, to_vec};
use crate::error::{AddedProblem, Error, Result};
use crate::frontend::spec::{Features, FrontEnd};

/// A module, ready to run.
pub(super) struct Module {
    model: String,
    /// Shared between threads: `forward` changes nothing in a module that passed the inspection.
    network: Arc<CModule>,
    place: Place,
    input: ModuleInput,
    /// Values of an embedding, once they are known.
    dimension: Option<usize>,
}

/// What a module is fed with.
#[derive(Clone, Debug)]
pub(super) struct ModuleInput {
    /// The shape of what it makes a vector of.
    pub(super) shape: Vec<usize>,
    /// The names of its axes.
    pub(super) meaning: &'static str,
    /// Whether it takes one at a time.
    pub(super) one_at_a_time: bool,
}

impl ModuleInput {
    /// The patches of `front_end`.
    pub(super) fn patches(front_end: &FrontEnd, one_at_a_time: bool) -> Self {
        let frames = front_end.patch_frames;
        let (shape, meaning) = match front_end.features {
            Features::Samples => (vec![frames], "[batch, samples]"),
            Features::Mel(mel) => (vec![frames, mel.mel_bands], "[batch, frames, mels]"),
        };
        Self { shape, meaning, one_at_a_time }
    }
}

/// What a module gave: one tensor, or something else.
pub(super) enum Given {
    /// Its shape and its values.
    Tensor(Vec<i64>, Vec<f32>),
    /// In words.
    Other(String),
}

/// Modules run in float32, whatever was asked: what they hold may not be changed to another kind.
pub(super) fn compute_of(compute: Compute) -> Compute {
    Compute { precision: Precision::Float32, ..compute }
}

impl Module {
    /// Loads the archive that `path` held; `compute` is resolved.
    pub(super) fn load(
        model: &str,
        path: &Path,
        archive: &[u8],
        input: ModuleInput,
        compute: Compute,
    ) -> Result<Self> {
        let place = Place::of(compute_of(compute));
        let load = || -> Torch<CModule> {
            let mut bytes = archive;
            let mut module = CModule::load_data_on_device(&mut bytes, place.device)?;
            module.f_set_eval()?;
            Ok(module)
        };
        let module = load().map_err(|error| AddedProblem::NotTorchScript {
            path: path.to_owned(),
            source: first_line(&error).into(),
        })?;
        let (model, network) = (model.to_owned(), Arc::new(module));
        Ok(Self { model, network, place, input, dimension: None })
    }

    /// The same, of which is known that it gives `dimension` values.
    pub(super) fn of_dimension(mut self, dimension: usize) -> Self {
        self.dimension = Some(dimension);
        self
    }

    /// The shape of `patches` patches, and the names of its axes.
    pub(super) fn input(&self, patches: usize) -> (Vec<usize>, &'static str) {
        ([&[patches], &self.input.shape[..]].concat(), self.input.meaning)
    }

    /// Runs on `values`, which are `patches` patches.
    pub(super) fn forward(&self, values: &[f32], patches: usize) -> Torch<Given> {
        if !self.input.one_at_a_time || patches <= 1 {
            return self.forward_together(values, patches);
        }
        let (mut rows, mut all) = (0, Vec::new());
        let mut length = 0;
        for patch in values.chunks_exact(values.len() / patches) {
            match self.forward_together(patch, 1)? {
                Given::Tensor(shape, mut values) if shape.len() == 2 && shape[0] == 1 => {
                    rows += 1;
                    length = shape[1];
                    all.append(&mut values);
                }
                other => return Ok(other),
            }
        }
        Ok(Given::Tensor(vec![rows, length], all))
    }

    fn forward_together(&self, values: &[f32], patches: usize) -> Torch<Given> {
        tch::no_grad(|| {
            // The optimiser rewrites a graph after it has seen it run, and what it fuses rounds
            // otherwise: the first vector would not be the hundredth. The switch is per thread.
            tch::jit::f_set_graph_executor_optimize(false)?;
            let (shape, _) = self.input(patches);
            let input = IValue::Tensor(self.place.tensor(values, &shape)?);
            Ok(match self.network.forward_is(&[input])? {
                IValue::Tensor(tensor) => Given::of(&tensor)?,
                IValue::Tuple(all) => Given::Other(format!("a tuple of {}", all.len())),
                IValue::TensorList(all) => Given::Other(format!("a list of {} tensors", all.len())),
                IValue::GenericDict(_) => Given::Other("a dictionary".to_owned()),
                IValue::None => Given::Other("nothing".to_owned()),
                _ => Given::Other("no tensor".to_owned()),
            })
        })
    }

    /// The vectors of `count` patches, `[count, dimension]`.
    pub(super) fn vectors(&self, values: &[f32], count: usize) -> Result<Vec<f32>> {
        let given = self.forward(values, count).map_err(|error| Error::Network {
            model: self.model.clone(),
            source: first_line(&error).into(),
        })?;
        let (dimension, vectors) = given.vectors(&self.model, count)?;
        match self.dimension {
            Some(expected) if expected != dimension => Err(AddedProblem::Output {
                model: self.model.clone(),
                windows: count,
                expected: format!("{expected} values each"),
                found: format!("{dimension} values each"),
            }
            .into()),
            _ => Ok(vectors),
        }
    }

    /// The same module for another thread.
    pub(super) fn shared(&self) -> Self {
        Self {
            model: self.model.clone(),
            network: Arc::clone(&self.network),
            place: self.place,
            input: self.input.clone(),
            dimension: self.dimension,
        }
    }
}

impl Given {
    fn of(tensor: &Tensor) -> Torch<Self> {
        Ok(match tensor.f_kind()? {
            Kind::Float | Kind::Double | Kind::Half | Kind::BFloat16 => {
                Self::Tensor(tensor.size(), to_vec(tensor)?)
            }
            kind => Self::Other(format!("a tensor of {kind:?}")),
        })
    }

    /// The vectors of `patches` patches, `[patches, dimension]`, with the dimension.
    pub(super) fn vectors(self, model: &str, patches: usize) -> Result<(usize, Vec<f32>)> {
        let refused = |found: String| {
            let expected = format!("a tensor of shape [{patches}, dimension]");
            AddedProblem::Output { model: model.to_owned(), windows: patches, expected, found }
        };
        match self {
            Self::Other(found) => Err(refused(found).into()),
            Self::Tensor(shape, values) => match shape[..] {
                [rows, columns] if usize::try_from(rows) == Ok(patches) && columns > 0 => {
                    Ok((values.len() / patches.max(1), values))
                }
                _ => Err(refused(format!("a tensor of shape {shape:?}")).into()),
            },
        }
    }
}

impl Network for Module {
    fn run(&self, batch: &Batch<'_>) -> Result<NetworkOutput> {
        let embeddings = self.vectors(batch.values, batch.sound_samples.len())?;
        Ok(NetworkOutput { embeddings, scores: Vec::new() })
    }

    fn share(&self) -> Box<dyn Network> {
        Box::new(self.shared())
    }
}

/// libtorch says what is wrong first and where it stood at length.
pub(super) fn first_line(error: &tch::TchError) -> String {
    let text = error.to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    // Errors inside a module begin with a traceback, and end with their reason.
    match lines.clone().next() {
        Some(line) if line.contains("TorchScript interpreter") => {
            lines.rfind(|line| line.contains("Error")).unwrap_or(line).to_owned()
        }
        line => line.unwrap_or("an error without words").to_owned(),
    }
}
