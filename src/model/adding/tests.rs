//! Modules that are traced here, added, and asked.

use std::path::Path;

use tch::{CModule, Kind, Tensor};
use tempfile::TempDir;

use super::*;
use crate::model::compute::Device;

/// What a module makes of its input.
type Forward = dyn Fn(&Tensor) -> Tensor;

const CPU: Compute =
    Compute { device: Device::Cpu, precision: crate::model::compute::Precision::Float32 };
const RATE: u32 = 16_000;

struct Bench {
    folder: TempDir,
    store: ModelStore,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = ModelStore::at(folder.path());
        Self { folder, store }
    }

    /// Traces `forward` on zeros of `shape` and writes the module.
    fn trace(&self, shape: &[i64], forward: &Forward) -> PathBuf {
        // What is copied into a tensor while it is traced is lost.
        WEIGHT.with(|_| ());
        let input = Tensor::zeros(shape, (Kind::Float, tch::Device::Cpu));
        let module = CModule::create_by_tracing("traced", "forward", &[input], &mut |inputs| {
            vec![forward(&inputs[0])]
        });
        let path = self.folder.path().join("traced.pt");
        module.unwrap().save(&path).unwrap();
        path
    }

    fn add(&self, name: &str, path: &Path, input: ModuleInput) -> Result<&'static ModelCard> {
        let new = new(name, path, input);
        add(&new, &self.store, CPU).map(|addition| addition.card)
    }

    /// Adds a module of half a second of samples.
    fn add_traced(&self, name: &str, forward: &Forward) -> Result<&'static ModelCard> {
        let path = self.trace(&[2, 8_000], forward);
        self.add(name, &path, ModuleInput::Waveform)
    }

    fn load(&self, name: &str) -> Result<EmbeddingModel> {
        EmbeddingModel::load(name, &self.store, CPU)
    }
}

fn new(name: &str, path: &Path, input: ModuleInput) -> NewModel {
    NewModel {
        name: name.to_owned(),
        task: None,
        licence: Some("MIT".to_owned()),
        sample_rate: Some(RATE),
        window_s: Some(0.5),
        hop_s: None,
        origin: Origin::TorchScript { path: path.to_owned(), input },
    }
}

thread_local! {
    /// `[12, 1, 160]`.
    static WEIGHT: Tensor = {
        let numbers: Vec<f32> = (0..12 * 160_i16).map(|n| (f32::from(n) * 0.37).sin()).collect();
        Tensor::from_slice(&numbers).view([12, 1, 160])
    };
}

/// Twelve filters of 160 samples, how loud each is on average, `[batch, 12]`.
fn filters(samples: &Tensor) -> Tensor {
    let weight = WEIGHT.with(Tensor::shallow_clone);
    let heard = samples.unsqueeze(1).conv1d(&weight, None::<&Tensor>, 80, 0, 1, 1);
    heard.relu().mean_dim(&[2_i64][..], false, Kind::Float)
}

fn problem<T: std::fmt::Debug>(result: Result<T>) -> AddedProblem {
    match result {
        Err(Error::Added(problem)) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_module_is_added_opened_and_embeds_what_it_should() {
    let bench = Bench::new();
    let card = bench.add_traced("filters", &filters).unwrap();
    assert_eq!((card.embedding_dimension, card.sample_rate), (12, RATE));
    assert_eq!((card.window_s, card.hop_s, &card.weights.licence[..]), (0.5, 0.25, "MIT"));
    assert!(card.measured.unwrap().audio_s_per_s > 0.0);
    assert_eq!(bench.store.added(), ["filters"]);

    let model = bench.load("filters").unwrap();
    let file = fs::read(bench.store.weights_path(card)).unwrap();
    assert_eq!(model.identity().weights_sha256, <[u8; 32]>::from(sha2::Sha256::digest(&file)));
    let samples: Vec<f32> = (0..3 * 8_000_i16).map(|n| (f32::from(n) * 0.02).sin()).collect();
    let expected = filters(&Tensor::from_slice(&samples).view([3, 8_000]));
    let expected: Vec<f32> = Vec::try_from(expected.view(-1)).unwrap();
    let first = model.embed(&samples).unwrap().embeddings;
    assert_eq!(first.len(), 36);
    for (given, expected) in first.iter().zip(&expected) {
        // Float noise.
        assert!((given - expected).abs() < 1e-5 * expected.abs().max(1.0), "{given} {expected}");
    }
    // Not even its last bit changes when the interpreter has seen it run.
    for _ in 0..5 {
        assert_eq!(model.share().embed(&samples).unwrap().embeddings, first);
    }
}

#[test]
fn threads_share_a_module() {
    let bench = Bench::new();
    bench.add_traced("filters", &filters).unwrap();
    let model = bench.load("filters").unwrap();
    let samples: Vec<f32> = (0..8_000_i16).map(|n| (f32::from(n) * 0.02).sin()).collect();
    let expected = model.embed(&samples).unwrap();
    let models: Vec<EmbeddingModel> = (0..4).map(|_| model.share()).collect();
    std::thread::scope(|scope| {
        for model in models {
            let (samples, expected) = (&samples, &expected);
            scope.spawn(move || {
                for _ in 0..10 {
                    assert_eq!(model.embed(samples).unwrap(), *expected);
                }
            });
        }
    });
}

#[test]
fn mel_bands_are_yamnet_s_or_those_of_a_file() {
    let bench = Bench::new();
    let mean = |frames: &Tensor| frames.mean_dim(&[1_i64][..], false, Kind::Float);
    // Half a second is 50 frames of 10 ms.
    let path = bench.trace(&[2, 50, 64], &mean);
    let card = bench.add("mel", &path, ModuleInput::LogMel(None)).unwrap();
    assert_eq!((card.embedding_dimension, card.mel), (64, Some(YAMNET_MEL)));
    let front_end = bench.load("mel").unwrap().front_end();
    assert_eq!((front_end.patch_frames, front_end.patch_hop_frames), (50, 25));

    let described = bench.folder.path().join("mel.toml");
    let text = "window_samples = 512\nhop_samples = 128\nfft_samples = 512\nspectrum = \"power\"\n\
                mel_bands = 32\nlow_hz = 50.0\nhigh_hz = 8000.0\nscale = \"slaney\"\n\
                compression = { logarithm = { offset = 1e-6 } }\n";
    fs::write(&described, text).unwrap();
    let input = ModuleInput::LogMel(Some(described.clone()));
    let card = bench.add("narrow", &path, input.clone()).unwrap();
    assert_eq!(card.embedding_dimension, 32);
    // 62.5 frames of 8 ms.
    assert!((card.window_s - 0.504).abs() < 1e-12, "{}", card.window_s);
    bench.load("narrow").unwrap();

    fs::write(&described, text.replace("mel_bands", "bands")).unwrap();
    assert!(matches!(problem(bench.add("other", &path, input)), AddedProblem::Mel { .. }));
}

#[test]
fn modules_that_cannot_be_trusted_are_refused_with_their_reason() {
    let bench = Bench::new();
    let refused = |forward: &Forward| {
        let found = problem(bench.add_traced("bad", forward));
        assert!(bench.store.added().is_empty(), "nothing is left behind");
        found
    };
    let not_pooled = |samples: &Tensor| samples.unfold(1, 160, 160);
    let found = refused(&not_pooled);
    assert!(matches!(found, AddedProblem::Output { .. }), "{found}");
    assert!(found.to_string().contains("[2, 50, 160]"), "{found}");

    let one_for_all = |samples: &Tensor| filters(samples).mean_dim(&[0_i64][..], true, Kind::Float);
    let found = refused(&one_for_all);
    assert!(found.to_string().contains("[1, 12]"), "{found}");

    let logarithm = |samples: &Tensor| filters(samples).log();
    let found = refused(&logarithm);
    assert!(matches!(found, AddedProblem::NotFinite { sound: "silence", .. }), "{found}");

    let constant = |samples: &Tensor| filters(samples) * 0.0 + 1.0;
    assert!(matches!(refused(&constant), AddedProblem::Constant { .. }));
    let zeros = |samples: &Tensor| filters(samples) * 0.0;
    assert!(matches!(refused(&zeros), AddedProblem::Constant { .. }));

    let random = |samples: &Tensor| filters(samples) + samples.rand_like().slice(1, 0, 12, 1);
    let found = refused(&random);
    assert!(matches!(found, AddedProblem::NotDeterministic { when, .. } if when.contains("again")));

    let of_the_batch = |samples: &Tensor| {
        let heard = filters(samples);
        &heard - heard.mean_dim(&[0_i64][..], true, Kind::Float) * 0.5
    };
    let found = refused(&of_the_batch);
    assert!(matches!(found, AddedProblem::NotDeterministic { when, .. } if when.contains("alone")));

    let whole = |samples: &Tensor| samples.to_kind(Kind::Int64).slice(1, 0, 4, 1);
    assert!(refused(&whole).to_string().contains("Int64"));
}

#[test]
fn a_module_that_wants_another_input_says_so() {
    let bench = Bench::new();
    // Of 4,000 samples, where half a second is 8,000.
    let weight = Tensor::ones([4_000, 3], (Kind::Float, tch::Device::Cpu));
    let path = bench.trace(&[2, 4_000], &move |samples| samples.matmul(&weight));
    let found = problem(bench.add("short", &path, ModuleInput::Waveform));
    assert!(matches!(&found, AddedProblem::Input { shape, .. } if *shape == [2, 8_000]), "{found}");
    assert!(found.to_string().contains("[batch, samples]"), "{found}");
}

#[test]
fn files_that_are_no_modules_are_refused() {
    let bench = Bench::new();
    let good = fs::read(bench.trace(&[2, 8_000], &filters)).unwrap();
    let path = bench.folder.path().join("file.pt");
    let mut cut = good.clone();
    cut.truncate(good.len() / 2);
    for bytes in [Vec::new(), b"\x80\x02}q\x00.".to_vec(), vec![7; 5_000], cut] {
        fs::write(&path, bytes).unwrap();
        let found = problem(bench.add("file", &path, ModuleInput::Waveform));
        assert!(matches!(found, AddedProblem::NotTorchScript { .. }), "{found}");
        assert!(Error::from(found).hint().is_some());
    }
    let missing = bench.add("file", &bench.folder.path().join("none.pt"), ModuleInput::Waveform);
    assert!(matches!(missing, Err(Error::Io { action: "read", .. })));
}

#[test]
fn names_are_checked_and_not_taken_twice() {
    let bench = Bench::new();
    let path = bench.trace(&[2, 8_000], &filters);
    for name in ["", "Owls", "-owls", "a/b", "..", "a b", "é", &"a".repeat(65)] {
        let found = problem(bench.add(name, &path, ModuleInput::Waveform));
        assert!(matches!(found, AddedProblem::Name { .. }), "{name}: {found}");
    }
    let found = problem(bench.add("yamnet", &path, ModuleInput::Waveform));
    assert!(matches!(found, AddedProblem::Taken { built_in: true, .. }), "{found}");
    bench.add("owls", &path, ModuleInput::Waveform).unwrap();
    let found = problem(bench.add("owls", &path, ModuleInput::Waveform));
    assert!(matches!(found, AddedProblem::Taken { built_in: false, .. }), "{found}");

    assert!(bench.store.remove("owls").unwrap());
    assert!(!bench.store.remove("owls").unwrap());
    assert!(matches!(bench.load("owls"), Err(Error::UnknownModel { .. })));
    let left = fs::read_dir(bench.folder.path().join("models")).unwrap().count();
    assert_eq!(left, 0, "nothing is left behind");
    bench.add("owls", &path, ModuleInput::Waveform).unwrap();
}

#[test]
fn what_was_changed_in_the_store_is_noticed() {
    let bench = Bench::new();
    let card = bench.add_traced("owls", &filters).unwrap();
    let folder = bench.folder.path().join("models/owls");
    let card_text = fs::read_to_string(folder.join("card.toml")).unwrap();
    let module = fs::read(folder.join("module.pt")).unwrap();

    let mut other = module.clone();
    *other.last_mut().unwrap() ^= 1;
    fs::write(folder.join("module.pt"), other).unwrap();
    assert!(matches!(bench.load("owls"), Err(Error::Checksum { .. })));
    assert!(bench.store.verify(card).is_err());
    fs::remove_file(folder.join("module.pt")).unwrap();
    assert!(matches!(problem(bench.load("owls")), AddedProblem::FileMissing { .. }));
    fs::write(folder.join("module.pt"), module).unwrap();

    // Another window is another input.
    for (from, to, is_card_s) in [
        ("embedding_dimension = 12", "embedding_dimension = 13", false),
        ("name = \"owls\"", "name = \"hawks\"", true),
        ("hop_s = 0.25", "hop_s = 0.75", true),
        ("architecture = \"torchscript\"", "architecture = \"yamnet\"", true),
        ("[weights]", "[odd]", true),
    ] {
        assert!(card_text.contains(from), "{card_text}");
        fs::write(folder.join("card.toml"), card_text.replace(from, to)).unwrap();
        let found = bench.load("owls");
        assert_eq!(matches!(found, Err(Error::Card { .. })), is_card_s, "{to}: {found:?}");
        assert!(found.is_err());
    }
    fs::write(folder.join("card.toml"), card_text).unwrap();
    bench.load("owls").unwrap();
    let mut probe = fs::read(folder.join("probe.bin")).unwrap();
    probe[3] ^= 0x80;
    probe[7] ^= 0x80;
    fs::write(folder.join("probe.bin"), probe).unwrap();
    assert!(matches!(bench.load("owls"), Err(Error::Probe { .. })));
}
