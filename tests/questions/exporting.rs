//! Vectors out of the library, as other programs read them.

use std::fs;
use std::process::Command;

use crate::bench::Bench;

fn bench() -> Bench {
    let bench = Bench::with_sounds();
    bench.run(&["index", "sounds", "-q"]).expect(0);
    bench
}

/// The shape and values of an array of float32, by the format's own rules.
fn npy(bytes: &[u8]) -> (usize, usize, Vec<f32>) {
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    assert_eq!((10 + length) % 64, 0, "values are aligned");
    let header = str::from_utf8(&bytes[10..10 + length]).unwrap();
    assert!(header.ends_with('\n'));
    assert!(header.contains("'descr': '<f4'") && header.contains("'fortran_order': False"));
    let shape = header.split_once("'shape': (").unwrap().1.split_once(')').unwrap().0;
    let (rows, columns) = shape.split_once(", ").unwrap();
    let values = bytes[10 + length..]
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    (rows.parse().unwrap(), columns.parse().unwrap(), values)
}

#[test]
fn an_array_and_its_table_and_a_table_alone_say_the_same() {
    let bench = bench();
    for (level, rows) in [("segment", 24), ("recording", 6)] {
        let (array, table) = (format!("{level}.npy"), format!("{level}-all.csv"));
        bench.run(&["export", "--npy", &array, "--by", level]).expect(0);
        bench.run(&["export", "--csv", &table, "--by", level]).expect(0);
        let (found, columns, values) = npy(&fs::read(bench.path(&array)).unwrap());
        assert_eq!((found, columns, values.len()), (rows, 1024, rows * 1024));
        let read = |name: &str| -> Vec<csv::StringRecord> {
            let mut reader = csv::Reader::from_path(bench.path(name)).unwrap();
            reader.records().map(Result::unwrap).collect()
        };
        let (short, long) = (read(&format!("{level}.csv")), read(&table));
        assert_eq!((short.len(), long.len()), (rows, rows));
        for ((short, long), vector) in short.iter().zip(&long).zip(values.chunks_exact(1024)) {
            assert!(short.iter().eq(long.iter().take(5)));
            let cells: Vec<f32> = long.iter().skip(5).map(|cell| cell.parse().unwrap()).collect();
            assert_eq!(cells, vector, "decimals give every bit back");
            let path = std::path::Path::new(&short[2]);
            assert!(path.is_file());
            assert!(short[3].parse::<f64>().unwrap() < short[4].parse::<f64>().unwrap());
        }
    }
    // What a search finds with a vector is the row that it came from.
    let hits = crate::search(&bench, &["id:2", "-k", "1"]);
    assert_eq!(hits.len(), 1);
}

#[test]
fn standard_output_gets_the_same_and_nothing_is_overwritten() {
    let bench = bench();
    bench.run(&["export", "--npy", "v.npy"]).expect(0);
    let piped = bench.command().args(["export", "--npy", "-"]).output().unwrap();
    assert!(piped.status.success());
    assert_eq!(piped.stdout, fs::read(bench.path("v.npy")).unwrap());
    let piped = bench.run(&["export", "--csv", "-", "--by", "recording"]).expect(0).out;
    assert_eq!(piped.lines().count(), 7);

    let again = bench.run(&["export", "--npy", "v.npy"]).expect(2);
    assert!(
        again.err.contains("is there already") && again.err.contains("--force"),
        "{}",
        again.err
    );
    // The table is as safe as the array.
    fs::remove_file(bench.path("v.npy")).unwrap();
    let again = bench.run(&["export", "--npy", "v.npy"]).expect(2);
    assert!(again.err.contains("v.csv"), "{}", again.err);
    bench.run(&["export", "--npy", "v.npy", "--force"]).expect(0);
    // Nor is the table another array's: where the old array stays, so does its table.
    fs::write(bench.path("w.csv"), "the table of before").unwrap();
    fs::create_dir(bench.path("w.npy")).unwrap();
    bench.run(&["export", "--npy", "w.npy", "--force"]).expect(2);
    assert_eq!(fs::read_to_string(bench.path("w.csv")).unwrap(), "the table of before");
    bench.run(&["export", "--csv", "v.csv", "--force", "--by", "recording"]).expect(0);
    bench.run(&["export"]).expect(2);
    bench.run(&["export", "--npy", "a.npy", "--csv", "b.csv"]).expect(2);
    bench.run(&["export", "--npy", "nowhere/a.npy"]).expect(2);
    bench.run(&["export", "--npy", "same.csv"]).expect(2);
    let left = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(".tmp");
    assert_eq!(fs::read_dir(bench.folder.path()).unwrap().flatten().filter(left).count(), 0);
}

#[test]
fn numpy_reads_it() {
    let bench = bench();
    bench.run(&["export", "--npy", "v.npy"]).expect(0);
    // Another Python than the first on the path may have numpy.
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has_numpy = Command::new(&python).args(["-c", "import numpy"]).output();
    if !has_numpy.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: {python} has no numpy (PYTHON names another)");
        return;
    }
    let script = "import numpy, sys; a = numpy.load(sys.argv[1]); print(a.shape, a.dtype, \
                  bool((numpy.linalg.norm(a, axis=1) > 0).all()))";
    let output =
        Command::new(&python).args(["-c", script]).arg(bench.path("v.npy")).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), "(24, 1024) float32 True");
}
