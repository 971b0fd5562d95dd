//! What is imported is given back, byte for byte.

use std::fmt::Write as _;
use std::fs;

use proptest::prelude::*;

use crate::bench::Bench;
use crate::{all, bench, import, label, short};

/// Lengths that decimals do and do not hold.
fn recordings() -> Bench {
    bench(&[
        ("sounds/a.wav", 5.0),
        ("sounds/b, \"c\".wav", 7.123_456_789_123),
        ("id:7.wav", 3.0),
        ("d.wav", 86_400.0),
    ])
}

#[test]
fn tables_come_back_as_they_were() {
    for table in [
        "path,start,end,class\nsounds/a.wav,0.1,0.30000000000000004,Dog\nd.wav,,,Cat\nsounds/a.wav,1,2,\"Great tit, \"\"young\"\"\"\n",
        "path,start,end,class\n\"sounds/b, \"\"c\"\".wav\",0,7.2,\"two\nlines\"\n./id:7.wav,2,2,point\n./id:7.wav,1,2,Dog\n",
        "path,start,end,class,judgement,source,score,low_hz,high_hz\nd.wav,1,2,Dog,negative,jane,0.123456789,100,2000.5\nd.wav,3,4,Dog,positive,head:birds,1,,\nd.wav,,,Kauz,unsure,tester,,,\n",
    ] {
        let bench = recordings();
        import(&bench, "a.csv", table, &[]).expect(0);
        let out = label(&bench, &["export"]).expect(0).out;
        assert_eq!(out, table);
        label(&bench, &["export", "--out", "b.csv"]).expect(0);
        assert_eq!(fs::read_to_string(bench.path("b.csv")).unwrap(), table);
        let there = label(&bench, &["export", "--out", "b.csv"]).expect(2);
        assert!(there.err.contains("is there already"), "{}", there.err);
        let before = all(&bench);
        let again = import(&bench, "b.csv", &out, &[]).expect(0).json();
        assert_eq!(again[0]["added"], 0);
        assert_eq!(all(&bench), before);
    }
}

#[test]
fn sources_are_named_when_somebody_else_is_one() {
    let bench = recordings();
    let table = "path,start,end,class\nd.wav,1,2,Dog\n";
    import(&bench, "a.csv", table, &["--source", "jane"]).expect(0);
    let named = "path,start,end,class,source\nd.wav,1,2,Dog,jane\n";
    assert_eq!(label(&bench, &["export"]).expect(0).out, named);
    let elsewhere = label(&bench, &["export", "--relative-to", "sounds"]).expect(0).out;
    assert!(elsewhere.contains("/d.wav,1,2"), "{elsewhere}");
    let json = label(&bench, &["export", "--format", "json"]).expect(0).json();
    assert_eq!((&json[0]["class"], &json[0]["source"]), (&"Dog".into(), &"jane".into()));
    label(&bench, &["export", "--class", "Cat"]).expect(1);
    label(&bench, &["export", "--where", "duration < 10"]).expect(1);
    assert_eq!(label(&bench, &["export", "--source", "jane"]).expect(0).out, named);
}

#[test]
fn label_tracks_come_back_as_they_were() {
    let bench = recordings();
    let track = "0.100000\t0.300000\tDog\n\\\t100.000000\t2000.500000\n2.150000\t2.150000\tpoint\n\
        0.000000\t5.000000\tall\n4.000000\t5.050000\tend [negative]\n1.000000\t2.000000\tlater\n";
    let other = "0.000000\t7.123457\tall of it\n7.123456\t7.123456\tthe end [unsure]\n";
    import(&bench, "a.txt", track, &[]).expect(0);
    assert_eq!(label(&bench, &["export", "--format", "audacity"]).expect(0).out, track);
    import(&bench, "b, \"c\".wav.txt", other, &[]).expect(0);
    label(&bench, &["export", "--format", "audacity"]).expect(2);
    label(&bench, &["export", "--format", "audacity", "--out", "tracks"]).expect(0);
    let read = |name: &str| fs::read_to_string(bench.path("tracks").join(name)).unwrap();
    assert_eq!(read("a-id1.txt"), track);
    assert_eq!(read("b, \"c\"-id2.txt"), other);
    let again = label(&bench, &["import", "tracks/a-id1.txt", "tracks/b, \"c\"-id2.txt"]).expect(0);
    assert_eq!(again.out, "Brought in: 0 labels, 7 already there.\n");
    label(&bench, &["export", "--format", "audacity", "--out", "tracks"]).expect(2);
    assert!(short(&bench).contains(&"sounds/b, \"c\".wav null null all of it".to_owned()));
}

#[test]
fn selection_tables_come_back_as_they_were() {
    let header =
        "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)";
    // As Raven Pro writes them, and as a search does.
    let raven = format!(
        "{header}\tAnnotation\n1\tSpectrogram 1\t1\t1.709509878\t2.096397225\t1739.012\t3798.813\tBirb\n\
         2\tSpectrogram 1\t1\t0.000000000\t5.000000000\t0.000\t22050.000\tdonkey\n"
    );
    let ours = format!(
        "{header}\tAnnotation\n1\tSpectrogram 1\t1\t1.500000\t2.250000\t100\t2000.5\tBirb\n\
         2\tSpectrogram 1\t1\t0.500000\t0.500000\t0\t22050\tpoint\n"
    );
    let more = format!(
        "{header}\tSpecies\tJudgement\tSource\tScore\n1\tSpectrogram 1\t1\t1.500000\t2.250000\t0\t22050\tBirb\tnegative\tjane\t0.25\n"
    );
    for (table, column) in [(raven, "Annotation"), (ours, "Annotation"), (more, "Species")] {
        let bench = recordings();
        import(&bench, "a.Table.1.selections.txt", &table, &[]).expect(0);
        let export = ["export", "--format", "raven", "--class-column", column];
        label(&bench, &[&export[..], &["--out", "tables"]].concat()).expect(0);
        let path = bench.path("tables/a-id1.Table.1.selections.txt");
        assert_eq!(fs::read_to_string(path).unwrap(), table);
    }
}

/// Labels of several recordings in one selection table, or in tables and tracks of their own, go
/// into an empty library and come out of it as they were.
fn survives(labels: &[(usize, u32, u32, String)], format: &str, several: bool) {
    let names = ["sounds/a.wav", "sounds/b, \"c\".wav", "./id:7.wav", "d.wav"];
    let longest = [5.0, 7.12, 3.0, 86_400.0];
    let first = recordings();
    let mut table = String::from("path,start,end,class\n");
    for (recording, start, length, class) in labels {
        let start = f64::from(*start) / f64::from(u32::MAX) * longest[*recording];
        let end = (start + f64::from(*length) / 1e6).min(longest[*recording]);
        let name = names[*recording].replace('"', "\"\"");
        let class = class.replace('"', "\"\"");
        writeln!(table, "\"{name}\",{start},{end},\"{class}\"").unwrap();
    }
    import(&first, "all.csv", &table, &[]).expect(0);
    if format == "csv" {
        let out = label(&first, &["export"]).expect(0).out;
        let second = recordings();
        import(&second, "all.csv", &out, &[]).expect(0);
        assert_eq!(label(&second, &["export"]).expect(0).out, out);
        assert_eq!(short(&second), short(&first));
        return;
    }
    let second = recordings();
    if several {
        let out = label(&first, &["export", "--format", format]).expect(0).out;
        let here =
            |bench: &Bench| bench.folder.path().canonicalize().unwrap().display().to_string();
        let out = out.replace(&here(&first), &here(&second));
        import(&second, "all.txt", &out, &[]).expect(0);
        let back = label(&second, &["export", "--format", format]).expect(0).out;
        assert_eq!(back, out);
        return;
    }
    label(&first, &["export", "--format", format, "--out", "files"]).expect(0);
    let files: Vec<_> =
        fs::read_dir(first.path("files")).unwrap().map(|e| e.unwrap().path()).collect();
    let arguments: Vec<&str> = files.iter().map(|path| path.to_str().unwrap()).collect();
    label(&second, &[&["import"], &arguments[..]].concat()).expect(0);
    label(&second, &["export", "--format", format, "--out", "files"]).expect(0);
    for path in &files {
        let name = path.file_name().unwrap();
        let back = fs::read_to_string(second.path("files").join(name)).unwrap();
        assert_eq!(back, fs::read_to_string(path).unwrap());
    }
}

proptest! {
    // Each case starts the program several times.
    #![proptest_config(ProptestConfig { cases: 4, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn generated_labels_survive_every_format(
        labels in prop::collection::vec(
            (0..4_usize, any::<u32>(), prop_oneof![Just(0), any::<u32>(), 0..5_000_000_u32], "[A-Za-zäß\"][A-Za-z0-9 ,;'\"äß?-]{0,8}[A-Za-zäß\"]"),
            1..12,
        ),
    ) {
        survives(&labels, "csv", false);
        survives(&labels, "audacity", false);
        survives(&labels, "raven", false);
        survives(&labels, "raven", true);
    }
}
