//! TF-LSTM: one cell that goes along time and along frequency.
//!
//! In: steps of bands. Out: the states over all groups of bands, joined. Refuses nothing.
//!
//! Of the two published forms this is that of T. N. Sainath and B. Li, "Modeling Time-Frequency
//! Patterns with LSTM vs. Convolutional Architectures for LVCSR Tasks" (Interspeech 2016): one cell
//! with shared weights over K = ⌊(N − F)/S⌋ + 1 groups of F of the N bands, S apart. At time t and
//! group k, with z = W·\[x(t,k); h(t−1,k); h(t,k−1)\] + b split into i, f, j, o, and peepholes p:
//!
//! ```text
//! c(t,k) = σ(f + 1 + p_f⊙c(t−1,k))⊙c(t−1,k) + σ(i + p_i⊙c(t−1,k))⊙tanh(j)
//! h(t,k) = σ(o + p_o⊙c(t,k))⊙tanh(c(t,k))
//! ```
//!
//! Frequency passes h only, and h below the first group is zero. (The F-T-LSTM of Li, Mohamed, Zweig
//! and Gong, ASRU 2015, scans the groups of each frame by itself.)
//!
//! h(t,k) needs h(t−1,k) and h(t,k−1): all that lie on one diagonal t + k are independent, and are
//! computed together, so that T·K steps become T + K − 1. Groups are laid out askew for that: row
//! k is shifted by k, which is padding and another view of the same values.

use tch::{Kind, Tensor};

use super::form::{Body, Form};
use super::forward::{Parameters, named};
use crate::model::torch::Torch;
use crate::units::signed;

/// The states of every step over all groups, `[sequences, steps, groups · units]`.
pub(super) fn time_frequency(
    form: &Form,
    parameters: &Parameters,
    steps: &Tensor,
) -> Torch<Tensor> {
    let Body::TimeFrequency { group, stride, units, .. } = form.body else {
        return Err(tch::TchError::Shape("no recurrence over frequency".to_owned()));
    };
    let (group, stride, units) = (signed(group), signed(stride), signed(units));
    let (sequences, times) = (steps.size()[0], steps.size()[1]);
    // [sequences, steps, groups, bands of a group]
    let grouped = steps.f_unfold(2, group, stride)?;
    let groups = grouped.size()[2];
    let from_input = grouped
        .f_linear(named(parameters, "cell.input")?, Some(named(parameters, "cell.bias")?))?;
    // Askew: [diagonals, sequences, groups, 4 units]. Padding is zero, bias and all, which leaves
    // states at zero until a group's first step.
    let diagonals = times + groups - 1;
    let from_input = from_input
        .f_permute([0, 2, 1, 3])?
        .f_constant_pad_nd([0, 0, 0, groups])?
        .f_reshape([sequences, groups * (times + groups), 4 * units])?
        .f_narrow(1, 0, groups * diagonals)?
        .f_reshape([sequences, groups, diagonals, 4 * units])?
        .f_permute([2, 0, 1, 3])?
        .f_reshape([diagonals, sequences * groups, 4 * units])?;
    let recurrent =
        Tensor::f_cat(&[named(parameters, "cell.time")?, named(parameters, "cell.frequency")?], 1)?
            .f_transpose(0, 1)?;
    // [3, units]: input, forget, output.
    let peephole = named(parameters, "cell.peephole")?;
    let (peek_before, peek_after) = (peephole.f_narrow(0, 0, 2)?, peephole.f_select(0, 2)?);
    let place = (Kind::Float, tch::Device::Cpu);
    // The forget gate begins open: 0 and 1, by a call that a trace keeps.
    let open = Tensor::f_arange(2, place)?.f_view([2, 1])?;
    let mut state = Tensor::f_zeros([sequences, groups, units], place)?;
    let mut cell = Tensor::f_zeros([sequences * groups, units], place)?;
    let mut states = Vec::new();
    for from_input in from_input.f_unbind(0)? {
        // What the group below said one diagonal ago is what it said at this time.
        let below = state.f_narrow(1, 0, groups - 1)?.f_constant_pad_nd([0, 0, 1, 0])?;
        let both = Tensor::f_cat(&[&state, &below], 2)?.f_view([-1, 2 * units])?;
        let gates = from_input.f_addmm(&both, &recurrent)?.f_view([-1, 4, units])?;
        let keep = gates
            .f_narrow(1, 0, 2)?
            .f_add(&open)?
            .f_addcmul(&cell.f_unsqueeze(1)?, &peek_before)?
            .f_sigmoid()?;
        let taken = keep.f_select(1, 0)?.f_mul(&gates.f_select(1, 2)?.f_tanh()?)?;
        cell = taken.f_addcmul(&keep.f_select(1, 1)?, &cell)?;
        let said = gates.f_select(1, 3)?.f_addcmul(&cell, &peek_after)?.f_sigmoid()?;
        state = said.f_mul(&cell.f_tanh()?)?.f_view([sequences, groups, units])?;
        states.push(state.shallow_clone());
    }
    // Back: [sequences, groups, steps, units], row k from diagonal k on.
    Tensor::f_stack(&states, 2)?
        .f_reshape([sequences, groups * diagonals, units])?
        .f_constant_pad_nd([0, 0, 0, groups])?
        .f_reshape([sequences, groups, times + groups, units])?
        .f_narrow(2, 0, times)?
        .f_permute([0, 2, 1, 3])?
        .f_reshape([sequences, times, groups * units])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::torch::to_vec;
    use crate::train::network::Tensors;
    use crate::train::network::forward::parameters;

    /// Numbers between −1 and 1 that look like chance.
    fn noise(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    /// The formula of the module's head, one step and one group after another.
    fn plainly(
        x: &[f32],
        (times, bands): (usize, usize),
        (group, stride, units): (usize, usize, usize),
        tensors: &Tensors,
    ) -> Vec<f32> {
        let of = |name: &str| &tensors[name].1[..];
        let sigmoid = |value: f32| 1.0 / (1.0 + (-value).exp());
        let groups = (bands - group) / stride + 1;
        let at = |t: usize, k: usize| (t * groups + k) * units;
        let mut h = vec![0.0; times * groups * units];
        let mut c = h.clone();
        let p = of("cell.peephole");
        for t in 0..times {
            for k in 0..groups {
                let before =
                    |from: &[f32], u: usize| if t > 0 { from[at(t - 1, k) + u] } else { 0.0 };
                let below =
                    |from: &[f32], u: usize| if k > 0 { from[at(t, k - 1) + u] } else { 0.0 };
                let z: Vec<f32> = (0..4 * units)
                    .map(|row| {
                        let mut sum = of("cell.bias")[row];
                        for f in 0..group {
                            sum +=
                                of("cell.input")[row * group + f] * x[t * bands + k * stride + f];
                        }
                        for u in 0..units {
                            sum += of("cell.time")[row * units + u] * before(&h, u);
                            sum += of("cell.frequency")[row * units + u] * below(&h, u);
                        }
                        sum
                    })
                    .collect();
                for u in 0..units {
                    let (i, f, j, o) = (z[u], z[units + u], z[2 * units + u], z[3 * units + u]);
                    let past = before(&c, u);
                    let now = sigmoid(f + 1.0 + p[units + u] * past) * past
                        + sigmoid(i + p[u] * past) * j.tanh();
                    c[at(t, k) + u] = now;
                    h[at(t, k) + u] = sigmoid(o + p[2 * units + u] * now) * now.tanh();
                }
            }
        }
        h
    }

    #[test]
    fn diagonals_say_what_a_plain_loop_says() {
        for (times, bands, group, stride, units) in
            [(7, 10, 4, 2, 3), (1, 6, 6, 1, 2), (3, 9, 2, 3, 1)]
        {
            let tensors = Tensors::from([
                ("cell.input".to_owned(), (vec![4 * units, group], noise(4 * units * group, 1))),
                ("cell.time".to_owned(), (vec![4 * units, units], noise(4 * units * units, 2))),
                (
                    "cell.frequency".to_owned(),
                    (vec![4 * units, units], noise(4 * units * units, 3)),
                ),
                ("cell.bias".to_owned(), (vec![4 * units], noise(4 * units, 4))),
                ("cell.peephole".to_owned(), (vec![3, units], noise(3 * units, 5))),
            ]);
            let body = Body::TimeFrequency { group, stride, units, cells: 1, frames: 1 };
            let form = Form { width: bands, body };
            let x = noise(2 * times * bands, 6);
            let steps = Tensor::f_from_slice(&x)
                .and_then(|x| x.f_view([2, signed(times), signed(bands)]))
                .unwrap();
            let said = time_frequency(&form, &parameters(&tensors).unwrap(), &steps).unwrap();
            let plain: Vec<f32> = x
                .chunks(times * bands)
                .flat_map(|x| plainly(x, (times, bands), (group, stride, units), &tensors))
                .collect();
            for (said, plain) in to_vec(&said).unwrap().iter().zip(&plain) {
                // Float noise of sums of at most 20 terms.
                assert!((said - plain).abs() < 1e-5, "{said} and {plain}");
            }
        }
    }
}
