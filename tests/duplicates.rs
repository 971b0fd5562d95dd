//! scratch
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]
mod common;
#[path = "common/copies.rs"]
mod copies;
use std::path::PathBuf;
#[test]
fn make_them() {
    let esc10 = common::shared("data/esc10").unwrap();
    let folder = PathBuf::from("/tmp/dup/set");
    std::fs::create_dir_all(folder.join("copies")).unwrap();
    std::fs::create_dir_all(folder.join("originals")).unwrap();
    let (mut originals, mut hosts) = (vec![], vec![]);
    let mut classes: Vec<_> = std::fs::read_dir(esc10).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir()).collect();
    classes.sort();
    for class in classes {
        let mut files: Vec<_> = std::fs::read_dir(class).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        originals.extend(files.iter().step_by(10).cloned());
        hosts.extend(files.iter().skip(5).step_by(10).cloned());
        for f in files.iter().filter(|f| !hosts.contains(f)) {
            std::fs::copy(f, folder.join("originals").join(f.file_name().unwrap())).unwrap();
        }
    }
    let copies = copies::make(&originals, &hosts, &folder.join("copies"));
    let text: String = copies.iter().map(|c| format!("{}\t{}\t{}\t{}\n", c.kind, c.path.display(), c.original, c.shift_s)).collect();
    std::fs::write(folder.join("truth.tsv"), text).unwrap();
}
