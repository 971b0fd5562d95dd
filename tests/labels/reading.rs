//! Files as people and programs write them, and as nobody does.

use std::fs;

use proptest::prelude::*;
use sonoteca::Error;
use sonoteca::label::LabelFormat;
use sonoteca::label::places::Places;
use sonoteca::label::reading::{ReadingSpec, read};
use sonoteca::store::Library;

use crate::{all, bench, import, label, short, three};

#[test]
fn tables_are_read_however_their_columns_are_called() {
    for (table, more) in [
        ("file,begin_time,end_time,species\nday.wav,1.5,2,Dog\n", &[][..]),
        ("Filename;Onset;Offset;Category\nday.wav;1.5;2;Dog\n", &[]),
        ("\u{feff}path\tStart (s)\tEnd (s)\tLabel\r\nday.wav\t1.5\t2\tDog\r\n\r\n", &[]),
        ("class,end_s,start_s,recording\nDog,2,1.5,id:2\n", &[]),
        ("what,path,start,end\nDog,sounds/day.wav,1.5,2.0\n", &["--class-column", "What"]),
        ("path|start|end|class\nday.wav|1.5|2|Dog\n", &["--delimiter", "|"]),
        ("start,end,class\n1.5,2,Dog\n", &["--recording", "id:2"]),
        ("path,start,end,class\nC:\\x\\day.wav,,,\nsounds\\day.wav,1.5,2,Dog\n", &["-q"]),
        ("1.5\t2\tDog\n", &["--recording", "day.wav"]),
        // As spreadsheets write them where the comma stands before decimals.
        ("Filename;Onset;Offset;Category\nday.wav;1,5;2,0;Dog\n", &[]),
        (
            "\u{feff}\"path\";\"start\";\"end\";\"class\"\r\n\"day.wav\";\"1,5\";\"2\";\"Dog\"\r\n",
            &[],
        ),
        ("path;start;end;class;\"a, b, c, d, e\"\nday.wav;0:01,5;2s;Dog;\n", &[]),
        ("path\tstart\tend\tclass\nday.wav\t1,5\t2,000\tDog\n", &[]),
        ("1,500000\t2,000000\tDog\n", &["--recording", "day.wav"]),
        ("path,start,end,class\nday.wav,0:01.5,2000ms,Dog\n", &[]),
    ] {
        let bench = three();
        let code = if more == ["-q"] { 2 } else { 0 };
        import(&bench, "a.csv", table, more).expect(code);
        assert_eq!(short(&bench), ["sounds/day.wav 1.5 2.0 Dog"], "{table}");
    }
    // A table that names no recording is about the one whose name it has.
    let bench = three();
    import(&bench, "day.csv", "start,end,class\n1.5,2,Dog\n", &[]).expect(0);
    let judged = "path,class,presence,confidence,low_hz,high_hz,annotator\n\
        day.wav,Dog,0,0.25,100,2000.5,jane\nday.wav,Cat,?,,,,\n";
    import(&bench, "judged.csv", judged, &["--source", "joe"]).expect(0);
    import(&bench, "more.csv", "path,class\nday.wav,Owl\n", &["--judgement", "unsure"]).expect(0);
    let labels = all(&bench);
    let dog = &labels[1];
    assert_eq!((&dog["judgement"], &dog["score"]), (&"negative".into(), &0.25.into()));
    assert_eq!((&dog["low_hz"], &dog["high_hz"]), (&100.0.into(), &2000.5.into()));
    assert_eq!((&dog["source"], &labels[2]["source"]), (&"jane".into(), &"joe".into()));
    assert_eq!(
        (&labels[3]["judgement"], &labels[3]["source"]),
        (&"unsure".into(), &"tester".into())
    );
}

/// What may be decimals or thousands is refused by its line; the others go in.
#[test]
fn numbers_that_may_be_two_are_refused() {
    let bench = three();
    let table = "path\tstart\tend\tclass\nday.wav\t1,500\t2,500\tDog\nday.wav\t1,25\t2,500\tDog\n";
    let answer = import(&bench, "a.tsv", table, &[]).expect(2).json();
    let problems = answer[0]["problems"].as_array().unwrap();
    assert_eq!((problems.len(), &problems[0]["line"]), (1, &2.into()));
    let reason = problems[0]["reason"].as_str().unwrap();
    assert!(reason.contains("`1,500` may be 1.5 or 1500"), "{reason}");
    let table = "path;start;end;class;score\nday.wav;2,5;3,25;Dog;0.87\nday.wav;1.500;20;Dog;0,5\n";
    let answer = import(&bench, "b.csv", table, &[]).expect(2).json();
    let reason = answer[0]["problems"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("`1.500` has a point, and numbers before it have a comma"), "{reason}");
    let table = "path,start,end,class\nday.wav,\"1,500\",3,Dog\n";
    let answer = import(&bench, "c.csv", table, &[]).expect(2).json();
    let reason = answer[0]["problems"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("or save the table with semicolons"), "{reason}");
    assert_eq!(short(&bench), ["sounds/day.wav 1.25 2.5 Dog", "sounds/day.wav 2.5 3.25 Dog"]);
    assert_eq!(all(&bench)[1]["score"], 0.87);
}

#[test]
fn label_tracks_name_their_recording_or_are_told() {
    let bench = three();
    let track = "1.000000\t2.000000\tDog\n\\\t100.000000\t2000.000000\n\
        3.5\t3.5\tpoint\r\n4\t5\tCat [negative]\n\n1.000000\t2.000000\t\n2\t1\tx\nnonsense\n";
    let answer = import(&bench, "day.txt", track, &[]).expect(2).json();
    let problems = answer[0]["problems"].as_array().unwrap();
    let lines: Vec<u64> = problems.iter().map(|one| one["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [6, 7, 8]);
    let labels = all(&bench);
    assert_eq!((&labels[0]["low_hz"], &labels[0]["high_hz"]), (&100.0.into(), &2000.0.into()));
    assert_eq!(labels[2]["judgement"], "negative");
    assert_eq!(labels[2]["class"], "Cat");
    let listed = label(&bench, &["list", "--class", "point"]).expect(0).out;
    assert!(listed.contains("at 3.50"), "{listed}");

    // Two recordings have this name; the one beside the track is meant, or the one of this id.
    let answer = import(&bench, "bark.txt", "1\t2\tDog\n", &[]).expect(2);
    assert!(answer.err.contains("2 recordings of the library have its name"), "{}", answer.err);
    assert!(answer.err.contains("hint: say which recording"), "{}", answer.err);
    import(&bench, "other/bark.txt", "0.5\t1\tOwl\n", &[]).expect(0);
    import(&bench, "bark-id1.txt", "0.5\t1\tOwl\n", &[]).expect(0);
    assert_eq!(short(&bench)[3..], ["other/bark.wav 0.5 1.0 Owl", "sounds/bark.wav 0.5 1.0 Owl"]);
    import(&bench, "Label Track.txt", "1\t2\tDog\n", &[]).expect(2);
    import(&bench, "Label Track.txt", "1\t2\tOwl\n", &["--recording", "id:2"]).expect(0);
}

#[test]
fn selection_tables_are_read_as_raven_and_others_write_them() {
    let bench = three();
    // Raven lists a selection once a view.
    let table = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tAnnotation\n\
        1\tWaveform 1\t1\t6.709509878\t15.096397225\t1739.012\t3798.813\tBirb\n\
        1\tSpectrogram 1\t1\t6.709509878\t15.096397225\t1739.012\t3798.813\tBirb\n\
        2\tSpectrogram 1\t1\t0.000000000\t60.000000000\t0.000\t22050.000\tWind\n";
    let answer = import(&bench, "day.Table.1.selections.txt", table, &[]).expect(0).json();
    assert_eq!((&answer[0]["added"], &answer[0]["already_there"]), (&2.into(), &1.into()));
    assert_eq!(
        short(&bench),
        ["sounds/day.wav 6.709509878 15.096397225 Birb", "sounds/day.wav null null Wind"]
    );
    // Several files in a row: their own times are behind File Offset.
    let several = "Selection\tView\tBegin Time (s)\tEnd Time (s)\tBegin Path\tFile Offset (s)\tSpecies\n\
        1\tSpectrogram 1\t1.0\t2.0\tC:\\gone\\day.wav\t1.0\tDog\n\
        2\tSpectrogram 1\t61.5\t62.25\tother/bark.wav\t1.5\tDog\n";
    let answer = import(&bench, "all.txt", several, &[]).expect(2).json();
    assert!(answer[0]["problems"][0]["reason"].as_str().unwrap().contains("gone"));
    assert_eq!(short(&bench)[2], "other/bark.wav 1.5 2.25 Dog");
    let without = "Selection\tBegin Time (s)\tEnd Time (s)\tBegin File\tSpecies\n\
        1\t1.0\t2.0\tday.wav\tOwl\n2\t61.5\t62.25\tother/bark.wav\tOwl\n";
    let answer = import(&bench, "all.txt", without, &[]).expect(2);
    assert!(answer.err.contains("--from-format csv"), "{}", answer.err);
    // BirdNET's.
    let birds = "Selection\tView\tChannel\tBegin Path\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tSpecies Code\tCommon Name\tConfidence\tFile Offset (s)\n\
        1\tSpectrogram 1\t1\tday.wav\t27.0\t30.0\t0\t15000\tcomyel\tCommon Yellowthroat\t0.1509\t27.0\n";
    import(&bench, "birds.txt", birds, &["--source", "BirdNET"]).expect(0);
    let last = all(&bench).pop().unwrap();
    assert_eq!((&last["class"], &last["score"]), (&"Common Yellowthroat".into(), &0.1509.into()));
    let answer =
        import(&bench, "birds.txt", birds, &["--class-column", "Species Code"]).expect(0).json();
    assert_eq!(answer[0]["added"], 1);
}

#[test]
fn files_that_are_none_cost_themselves() {
    let bench = three();
    fs::write(bench.path("good.csv"), "path,class\nday.wav,Dog\n").unwrap();
    for (bytes, text) in [
        (&b"\xff\xfep\0a\0t\0h\0"[..], "UTF-16"),
        (b"RIFF\0\0\0\0WAVE", "no text"),
        (b"one,two\n1,2\n", "no column called class or"),
        (b"path,start,end\nday.wav,1,2\n", "no column called class or"),
        (b"class,start\nDog,1\n", "its name is that of no recording"),
    ] {
        fs::write(bench.path("bad.csv"), bytes).unwrap();
        let answer = label(&bench, &["import", "bad.csv", "good.csv", "nowhere.csv"]).expect(2);
        assert!(answer.err.contains(text), "{}", answer.err);
        assert!(answer.err.contains("hint:"), "{}", answer.err);
    }
    assert_eq!(all(&bench).len(), 1);
    for empty in ["", "\n\n", "path,class\n"] {
        import(&bench, "empty.csv", empty, &[]).expect(if empty == "\n\n" { 2 } else { 1 });
    }
    let latin = b"path,class\nday.wav,K\xe4uzchen\nday.wav,Owl\n";
    fs::write(bench.path("latin.csv"), latin).unwrap();
    let answer = label(&bench, &["import", "latin.csv"]).expect(2);
    assert!(answer.err.contains("latin.csv, line 2: it is not UTF-8"), "{}", answer.err);
    assert_eq!(all(&bench).len(), 2);
}

/// What is mutated: a file of each kind.
const FILES: [&str; 3] = [
    "path,start,end,class,judgement,source,score,low_hz,high_hz\nday.wav,1,2,\"Dog, big\",negative,me,0.5,1,2\n",
    "1.000000\t2.000000\tDog\n\\\t100.000000\t2000.000000\n3.5\t3.5\tpoint\n",
    "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tBegin Path\tFile Offset (s)\tSpecies\n1\tSpectrogram 1\t1\t6.7\t15.0\t1739.0\t3798.8\tday.wav\t6.7\tBirb\n",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_make_a_reader_panic(
        file in 0..FILES.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3), 0..12),
        format in 0..4_usize,
    ) {
        thread_local! {
            static PLACES: Places = {
                let bench = bench(&[("sounds/day.wav", 60.0)]);
                Places::read(&Library::open(&bench.path("sonoteca.db")).unwrap()).unwrap()
            };
        }
        let mut bytes = FILES[file].as_bytes().to_vec();
        for (place, byte, kind) in changes {
            let place = place.index(bytes.len().max(1)).min(bytes.len().saturating_sub(1));
            match kind {
                0 if !bytes.is_empty() => bytes[place] = byte,
                1 if !bytes.is_empty() => { bytes.remove(place); }
                _ => bytes.insert(place, byte),
            }
        }
        let format = [None, Some(LabelFormat::Csv), Some(LabelFormat::Audacity), Some(LabelFormat::Raven)][format];
        let spec = ReadingSpec {
            path: "day.txt".as_ref(),
            format,
            delimiter: None,
            class_column: None,
            recording: None,
        };
        let result = PLACES.with(|places| {
            read(&mut &bytes[..], &spec, places, &mut |row| {
                if let Ok(label) = row {
                    assert!(!label.class.trim().is_empty());
                    assert!(label.range.is_none_or(|range| {
                        range.start_s >= 0.0 && range.start_s < range.end_s && range.end_s < 61.0
                    }), "{label:?}");
                }
                Ok(())
            })
        });
        prop_assert!(matches!(result, Ok(_) | Err(Error::Labels { .. })), "{result:?}");
    }
}
