//! AdamW: I. Loshchilov and F. Hutter, "Decoupled Weight Decay Regularization" (ICLR 2019),
//! algorithm 2.
//!
//! In: parameters and a loss. Out: the parameters, moved. Refuses nothing; every call to libtorch
//! returns its error, which its own optimisers do not all do.

use tch::{Kind, Tensor};

use crate::model::torch::Torch;

const MEAN_KEPT: f64 = 0.9;
const SQUARE_KEPT: f64 = 0.999;
const OFFSET: f64 = 1e-8;

/// The norm that gradients are shortened to (R. Pascanu, T. Mikolov and Y. Bengio, "On the
/// difficulty of training recurrent neural networks", ICML 2013, algorithm 1).
const LONGEST_GRADIENT: f64 = 5.0;

/// Parameters on their way.
#[derive(Debug)]
pub(super) struct Descent {
    parameters: Vec<Tensor>,
    means: Vec<Tensor>,
    squares: Vec<Tensor>,
    steps: i32,
    decay: f64,
}

impl Descent {
    /// Begins; `decay` shrinks what has two dimensions or more.
    pub(super) fn new(parameters: Vec<Tensor>, decay: f64) -> Torch<Self> {
        let zeros = || parameters.iter().map(Tensor::f_zeros_like).collect::<Torch<Vec<_>>>();
        Ok(Self { means: zeros()?, squares: zeros()?, parameters, steps: 0, decay })
    }

    /// One step down from `loss`.
    pub(super) fn step(&mut self, loss: &Tensor, rate: f64) -> Torch<()> {
        let gradients = Tensor::f_run_backward(&[loss], &self.parameters, false, false)?;
        let _guard = tch::no_grad_guard();
        let mut length = 0.0;
        for gradient in &gradients {
            length += gradient.f_square()?.f_sum(Kind::Double)?.f_double_value(&[])?;
        }
        let shortened = (LONGEST_GRADIENT / length.sqrt().max(LONGEST_GRADIENT)).min(1.0);
        self.steps = self.steps.saturating_add(1);
        let mean_sum = 1.0 - MEAN_KEPT.powi(self.steps);
        let square_sum = 1.0 - SQUARE_KEPT.powi(self.steps);
        let moments = self.means.iter_mut().zip(&mut self.squares);
        for ((parameter, gradient), (mean, square)) in
            self.parameters.iter_mut().zip(gradients).zip(moments)
        {
            let gradient = gradient.f_mul_scalar(shortened)?;
            let _ = mean.f_lerp_(&gradient, 1.0 - MEAN_KEPT)?;
            let _ = square.f_lerp_(&gradient.f_square()?, 1.0 - SQUARE_KEPT)?;
            let spread = square.f_div_scalar(square_sum)?.f_sqrt()?.f_add_scalar(OFFSET)?;
            let change = mean.f_mul_scalar(rate / mean_sum)?.f_div(&spread)?;
            if parameter.dim() > 1 {
                let _ = parameter.f_mul_scalar_(1.0 - rate * self.decay)?;
            }
            let _ = parameter.f_sub_(&change)?;
        }
        Ok(())
    }
}
