//! One head from beginning to end, and how long it learns.
//!
//! In: which rows are learnt from, and which judge. Out: [`Taught`]. Refuses a loss that is not
//! finite.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::Tensor;

use super::Material;
use super::batches::{Batches, drop_some};
use super::descent::Descent;
use super::recipe::Recipe;
use super::wanted::{Coefficients, Wanted};
use crate::error::{Result, TrainingProblem};
use crate::model::torch::{Torch, to_vec};
use crate::train::learner::ClassWeights;
use crate::train::learner::moments::Moments;
use crate::train::network::Tensors;
use crate::train::network::form::{Form, Start};
use crate::train::network::forward::{self, Parameters, failed, hidden, outputs};
use crate::train::network::sequence::{most_steps, say};
use crate::train::task::Targets;
use crate::units::signed;

/// Epochs without a lower loss of the judges after which nothing better is expected.
const PATIENCE: usize = 12;

/// How heads of a lesson are taught.
#[derive(Debug)]
pub(super) struct Course<'a> {
    pub(super) form: &'a Form,
    pub(super) material: &'a Material<'a>,
    pub(super) recipe: &'a Recipe,
    pub(super) targets: &'a Targets,
    pub(super) classes: usize,
    pub(super) class_weights: ClassWeights,
    pub(super) seed: u64,
    /// How far each of the heads is, and whether to go on.
    pub(super) progress: &'a Progress,
}

/// A share of the work on one head: its number, where the share begins, and how large it is.
type Part = (usize, f64, f64);

/// How far each head is, for threads that work and one that watches.
#[derive(Debug)]
pub(super) struct Progress {
    /// In millionths.
    done: Vec<AtomicU32>,
    is_stopped: AtomicBool,
}

impl Progress {
    pub(super) fn of(heads: usize) -> Self {
        let done = (0..heads).map(|_| AtomicU32::new(0)).collect();
        Self { done, is_stopped: AtomicBool::new(false) }
    }

    /// The share of all heads that is done.
    pub(super) fn done(&self) -> f64 {
        let of = |done: &AtomicU32| f64::from(done.load(Ordering::Relaxed)) / 1e6;
        self.done.iter().map(of).sum::<f64>() / self.done.len().max(1) as f64
    }

    /// Wishes that everybody stops.
    pub(super) fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    /// Notes how far head `number` is; an error, where everybody is to stop.
    fn note(&self, number: usize, done: f64) -> Result<()> {
        if self.is_stopped.load(Ordering::Relaxed) {
            return Err(TrainingProblem::Interrupted.into());
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share")]
        if let Some(place) = self.done.get(number) {
            place.store((done.clamp(0.0, 1.0) * 1e6) as u32, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// A network that has learnt.
#[derive(Debug)]
pub(super) struct Taught {
    parameters: Parameters,
    mean: Vec<f32>,
    scale: Vec<f32>,
}

impl Course<'_> {
    /// Chooses the number of epochs inside of `rows`, and teaches a head these; `number` tells it
    /// from other heads of the lesson.
    pub(super) fn choose_and_run(
        &self,
        rows: &[usize],
        inner: &[Option<u32>],
        number: usize,
    ) -> Result<(usize, Taught)> {
        let folds = inner.iter().flatten().max().map_or(0, |last| last + 1);
        let share = 1.0 / f64::from(folds + 1);
        let mut losses = vec![0.0; self.recipe.epochs];
        for fold in 0..folds {
            let (judges, learns): (Vec<usize>, Vec<usize>) =
                rows.iter().partition(|row| inner[**row] == Some(fold));
            if judges.is_empty() || learns.is_empty() {
                continue;
            }
            let chance = self.chance(number, u64::from(fold) + 1);
            let part = (number, f64::from(fold) * share, share);
            let (_, found) = self.run(&learns, &judges, self.recipe.epochs, chance, part)?;
            for (epoch, loss) in losses.iter_mut().enumerate() {
                *loss += judges.len() as f64 * found[epoch.min(found.len() - 1)];
            }
        }
        let best = losses.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1));
        let epochs = match best {
            Some((epoch, _)) if folds > 0 => epoch + 1,
            _ => self.recipe.epochs,
        };
        let part = (number, 1.0 - share, share);
        let (taught, _) = self.run(rows, &[], epochs, self.chance(number, 0), part)?;
        Ok((epochs, taught))
    }

    fn chance(&self, number: usize, judge: u64) -> ChaCha8Rng {
        let mut chance = ChaCha8Rng::seed_from_u64(self.seed);
        chance.set_stream(((number as u64) << 8) | judge);
        chance
    }

    /// Teaches a head `rows`; the loss of `judges` after each epoch, where there are any.
    fn run(
        &self,
        rows: &[usize],
        judges: &[usize],
        epochs: usize,
        mut chance: ChaCha8Rng,
        part: Part,
    ) -> Result<(Taught, Vec<f64>)> {
        let recipe = self.recipe;
        let moments = self.moments(rows)?;
        let wanted = Wanted::of(self, rows);
        let (parameters, learning) = self.begin(&moments, &mut chance).map_err(failed)?;
        let mut descent = Descent::new(learning, recipe.decay).map_err(failed)?;
        let taught = Taught { parameters, mean: moments.mean, scale: moments.scale };
        let batches = Batches {
            material: self.material,
            recipe,
            wanted: &wanted,
            mean: &taught.mean,
            scale: &taught.scale,
            most_steps: most_steps(self.form),
        };
        let all_steps = (epochs * rows.len().div_ceil(recipe.batch)) as f64;
        let (mut losses, mut steps) = (Vec::new(), 0.0);
        for _ in 0..epochs {
            for batch in batches.shuffled(rows, &mut chance) {
                let done = steps / all_steps;
                self.progress.note(part.0, part.1 + part.2 * done)?;
                let (batch, coefficients) = batches.make(&batch, &mut chance)?;
                let rate = if recipe.falls {
                    recipe.rate * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
                } else {
                    recipe.rate
                };
                let mut learn = || -> Torch<f64> {
                    let hidden = hidden(self.form, &taught.parameters, &batch, true)?;
                    let hidden = self.thinned(&hidden, &mut chance)?;
                    let said = outputs(&taught.parameters, &hidden)?;
                    let loss = wanted.loss(&said, &coefficients)?;
                    descent.step(&loss, rate)?;
                    loss.f_double_value(&[])
                };
                if !learn().map_err(failed)?.is_finite() {
                    return Err(TrainingProblem::Diverged { what: "loss" }.into());
                }
                steps += 1.0;
            }
            if !judges.is_empty() {
                losses.push(taught.loss(self, judges, &wanted)?);
                let best = losses.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1));
                if best.is_some_and(|(best, _)| best + PATIENCE < losses.len()) {
                    break;
                }
            }
        }
        drop(descent);
        let mut taught = taught;
        taught.finish(&wanted).map_err(failed)?;
        Ok((taught, losses))
    }

    /// The moments of all steps of `rows`.
    fn moments(&self, rows: &[usize]) -> Result<Moments> {
        let steps = self.material.steps;
        let width = steps.dimension();
        Moments::of(width, |add| {
            let mut values = Vec::new();
            for &row in rows {
                let span = &self.material.spans[row];
                // Long ones in pieces.
                for first in span.clone().step_by(4_096) {
                    values.resize((span.end - first).min(4_096) * width, 0.0);
                    steps.read_range(first, &mut values)?;
                    values.chunks_exact(width).for_each(&mut *add);
                }
            }
            Ok(())
        })
    }

    /// Parameters where they begin, and those of them that learn.
    #[expect(clippy::cast_possible_truncation, reason = "parameters are float32")]
    fn begin(
        &self,
        moments: &Moments,
        chance: &mut ChaCha8Rng,
    ) -> Torch<(Parameters, Vec<Tensor>)> {
        let (mut parameters, mut learning) = (Parameters::new(), Vec::new());
        for entry in self.form.entries(self.classes) {
            let count = entry.shape.iter().product();
            let mut values = match entry.start {
                Start::Fixed(value) | Start::At(value) => vec![value; count],
                Start::Within(bound) => {
                    (0..count).map(|_| (chance.random_range(-bound..bound)) as f32).collect()
                }
            };
            match entry.name.as_str() {
                "mean" => values.clone_from(&moments.mean),
                "scale" => values.clone_from(&moments.scale),
                _ => {}
            }
            let shape: Vec<i64> = entry.shape.iter().map(|&size| signed(size)).collect();
            let mut tensor = Tensor::f_from_slice(&values)?.f_view(&shape[..])?;
            if !matches!(entry.start, Start::Fixed(_)) {
                tensor = tensor.f_set_requires_grad(true)?;
                learning.push(tensor.shallow_clone());
            }
            parameters.insert(entry.name, tensor);
        }
        Ok((parameters, learning))
    }

    /// The hidden layer without a share of its values, drawn at random.
    fn thinned(&self, hidden: &Tensor, chance: &mut ChaCha8Rng) -> Torch<Tensor> {
        if self.recipe.dropout <= 0.0 {
            return Ok(hidden.shallow_clone());
        }
        let mut kept = vec![1.0; hidden.numel()];
        drop_some(&mut kept, self.recipe.dropout, chance);
        hidden.f_mul(&Tensor::f_from_slice(&kept)?.f_view_as(hidden)?)
    }
}

impl Taught {
    /// What it says of `rows`, `[rows, classes]`.
    pub(super) fn say(&self, course: &Course<'_>, rows: &[usize]) -> Result<Vec<f32>> {
        let spans: Vec<_> = rows.iter().map(|&row| course.material.spans[row].clone()).collect();
        let standard = (&self.mean[..], &self.scale[..]);
        let classes = course.classes;
        say(
            course.form,
            &self.parameters,
            standard,
            (course.material.steps, &spans),
            classes,
            outputs,
        )
    }

    /// The mean loss of `rows`.
    fn loss(&self, course: &Course<'_>, rows: &[usize], wanted: &Wanted) -> Result<f64> {
        let said = self.say(course, rows)?;
        let mut coefficients = Coefficients::default();
        for &row in rows {
            wanted.begin(&mut coefficients);
            wanted.add(row, 1.0, &mut coefficients);
        }
        let loss = || -> Torch<f64> {
            let shape = [signed(rows.len()), signed(course.classes)];
            let said = Tensor::f_from_slice(&said)?.f_view(shape)?;
            wanted.loss(&said, &coefficients)?.f_double_value(&[])
        };
        loss().map_err(failed)
    }

    /// Numbers are learnt standardised, and said as they are.
    fn finish(&mut self, wanted: &Wanted) -> Torch<()> {
        let _guard = tch::no_grad_guard();
        for (name, shift) in [("out.weight", 0.0), ("out.bias", f64::from(wanted.mean))] {
            let found = forward::named(&self.parameters, name)?.f_detach()?;
            let scaled = found.f_mul_scalar(f64::from(wanted.spread))?.f_add_scalar(shift)?;
            self.parameters.insert(name.to_owned(), scaled);
        }
        Ok(())
    }

    /// The tensors of the head.
    pub(super) fn tensors(&self, course: &Course<'_>) -> Result<Tensors> {
        let entries = course.form.entries(course.classes);
        let copy = || -> Torch<Tensors> {
            let mut tensors = Tensors::new();
            for entry in entries {
                let values = to_vec(&forward::named(&self.parameters, &entry.name)?.f_detach()?)?;
                tensors.insert(entry.name, (entry.shape, values));
            }
            Ok(tensors)
        };
        let tensors = copy().map_err(failed)?;
        if tensors.values().any(|(_, values)| values.iter().any(|value| !value.is_finite())) {
            return Err(TrainingProblem::Diverged { what: "head" }.into());
        }
        Ok(tensors)
    }
}
