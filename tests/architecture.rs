//! The rules of `ARCHITECTURE.md` that a compiler does not check: which way data flows, and which
//! room a heavy dependency has.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

/// The stages in order: a module may use the ones above it, and itself.
const STAGES: &[&str] = &[
    "units", "case", "near", "shell", "dot", "dates", "error", "files", "audio", "frontend",
    "model", "filter", "store", "objects", "index", "dataset", "manifest", "extract", "search",
    "milvus", "label", "describe", "train", "ingest", "server", "cli",
];

/// Modules that a stage above may nevertheless be asked for, each with its reason.
const EXCEPTIONS: [(&str, &str); 1] = [
    // The limit that an error message states is defined where it is enforced.
    ("error", "audio"),
];

/// Dependencies that only these rooms may import: one each, but for the kernels.
const ROOMS: &[(&str, &[&str])] = &[
    ("jiff", &["dates"]),
    ("strsim", &["near"]),
    ("symphonia", &["audio/decode"]),
    ("hound", &["audio"]),
    ("opus_pure", &["audio/decode/opus"]),
    ("realfft", &["frontend"]),
    ("ureq", &["model/http", "model/remote/client"]),
    ("tch", &["model", "train/hidden", "train/learner", "train/network"]),
    ("multiversion", &["model/kernel", "index/kernel"]),
    ("rusqlite", &["store"]),
    ("refinery", &["store"]),
    ("hnsw_rs", &["index/hnsw"]),
    ("memmap2", &["index/mapped"]),
    ("crc_fast", &["index/file"]),
    ("plotters", &["train/report", "describe/plot"]),
    ("resvg", &["describe/plot/png"]),
    ("arrow_array", &["dataset"]),
    ("arrow_schema", &["dataset"]),
    ("parquet", &["dataset"]),
    ("object_store", &["objects/fetching"]),
    ("fork", &["ingest/decoders"]),
    ("rustix", &["ingest/decoders", "ingest/politeness", "server/connections"]),
    ("sysinfo", &["ingest/memory"]),
    ("askama", &["server/page"]),
    ("axum", &["server"]),
    ("hyper", &["server"]),
    ("hyper_util", &["server"]),
    ("http_body_util", &["server"]),
    ("milvus", &["milvus/client"]),
    ("tokio", &["server", "objects/fetching", "milvus/client"]),
    ("tokio_util", &["server"]),
    ("tracing", &["server", "cli/commands/serve"]),
    ("tracing_subscriber", &["server/logs"]),
    ("utoipa", &["server"]),
    ("subtle", &["server/security"]),
    ("clap", &["cli"]),
];

fn sources() -> Vec<(String, String)> {
    fn visit(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                visit(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = common::root().join("src");
    let mut paths = Vec::new();
    visit(&root, &mut paths);
    assert!(paths.len() > 30, "the sources were found");
    paths
        .iter()
        .map(|path| {
            let name = path.strip_prefix(&root).unwrap().with_extension("");
            // Tests may use anything.
            let text = fs::read_to_string(path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap().to_owned();
            (name.to_string_lossy().replace('\\', "/"), code)
        })
        // What the tests of several networks share is of tests too.
        .filter(|(name, _)| !name.ends_with("tests") && name != "model/golden")
        .collect()
}

/// The lines of `code` that are no comments.
fn statements(code: &str) -> impl Iterator<Item = &str> {
    code.lines().map(str::trim).filter(|line| !line.starts_with("//"))
}

fn stage_of(module: &str) -> Option<usize> {
    let first = module.split('/').next().unwrap();
    STAGES.iter().position(|stage| *stage == first)
}

#[test]
fn data_flows_one_way() {
    let mut wrong = Vec::new();
    for (module, code) in sources() {
        let Some(stage) = stage_of(&module) else {
            assert!(["lib", "main"].contains(&module.as_str()), "{module} has no place in STAGES");
            continue;
        };
        for line in statements(&code) {
            for (place, _) in line.match_indices("crate::") {
                let used: String = line[place + 7..]
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                let later = stage_of(&used).is_some_and(|used| used > stage);
                let from = module.split('/').next().unwrap();
                if later && !EXCEPTIONS.contains(&(from, used.as_str())) {
                    wrong.push(format!("{module} uses {used}: {line}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_heavy_dependency_has_one_room() {
    let sources = sources();
    for (dependency, rooms) in ROOMS {
        let path = format!("{dependency}::");
        let mut users = sources
            .iter()
            .filter(|(_, code)| {
                statements(code).any(|line| {
                    line.match_indices(&path).any(|(place, _)| {
                        let before = line[..place].chars().next_back();
                        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
                    })
                })
            })
            .map(|(module, _)| module)
            .peekable();
        assert!(users.peek().is_some(), "{dependency} is used somewhere");
        for module in users {
            assert!(
                rooms.iter().any(|room| module.starts_with(room)),
                "{module} imports {dependency}, which lives in {}",
                rooms.join(" and ")
            );
        }
    }
}

#[test]
fn unsafe_code_and_printing_have_no_place() {
    for (module, code) in sources() {
        for line in statements(&code) {
            // The one file that maps others, and says why that is sound.
            assert!(module == "index/mapped" || !line.contains("unsafe "), "{module}: {line}");
            assert!(!line.contains("println!"), "{module}: {line}");
        }
    }
}

/// Prose that names files rots; this prose is checked.
#[test]
fn paths_that_the_documents_name_exist() {
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/scale.md"] {
        let text = fs::read_to_string(common::root().join(document)).unwrap();
        for quoted in text.split('`').skip(1).step_by(2) {
            let is_path =
                ["src/", "tests/", "benches/", "scripts/", "scale/", "models/", "migrations/"]
                    .iter()
                    .any(|folder| quoted.starts_with(folder));
            if is_path && !quoted.contains(['*', '<', ' ']) && !quoted.contains("NAME") {
                assert!(common::root().join(quoted).exists(), "{document} names {quoted}");
            }
        }
    }
}
