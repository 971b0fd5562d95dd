//! A server that goes away in the middle of a load, and comes back.

use std::cell::RefCell;
use std::path::Path;

use sonoteca::dataset::Observer;
use sonoteca::dataset::folder::{manifest, parts};
use sonoteca::dataset::importing::Report;
use sonoteca::milvus::{self, Address, Store};
use sonoteca::search::{Level, SearchOptions};
use sonoteca::{Error, MilvusProblem, Result};

use crate::made::{Whole, header, write};
use crate::server::Server;
use crate::stores::{Embedded, Served, Tested};
use crate::{compare, question, recordings, segments_of};

/// Does something once so many rows were read, in the middle of the import.
struct Meanwhile<'a> {
    rows: u64,
    what: RefCell<Option<Box<dyn FnOnce() + 'a>>>,
}

impl Observer for Meanwhile<'_> {
    fn advanced(&self, rows: u64, _of: u64) {
        if rows >= self.rows
            && let Some(what) = self.what.take()
        {
            what();
        }
    }

    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Imports, and does something in between.
fn import_while(
    address: &str,
    folder: &Path,
    rows: u64,
    meanwhile: impl FnOnce(),
) -> Result<(Report, Option<Store>)> {
    let address: Address = address.parse()?;
    let parts = parts(folder)?;
    let listed = manifest(folder, &parts)?.map_or_else(Vec::new, |manifest| manifest.files);
    let watch = Meanwhile { rows, what: RefCell::new(Some(Box::new(meanwhile))) };
    let done = milvus::importing::import(&address, &parts, &listed, &watch);
    if watch.what.take().is_some() {
        let done = done.map(|(report, _)| report).map_err(|error| error.reason());
        panic!("the import was over before anything happened: {done:?}");
    }
    done
}

#[test]
fn a_server_that_goes_away_loses_nothing_and_the_load_goes_on() {
    let Some(mut server) = Server::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let all: Vec<Whole> = recordings(3_000, |number| 5 + number % 30);
    write(folder.path(), &header(), &all, 400_000);
    let expected = (3_000, segments_of(&all));
    let rows = expected.0 + expected.1;

    // It goes away and does not come back in time: that is said, and the load goes on later.
    let impatient = server.address("outage?consistency=strong&index=flat&patience=2&timeout=20");
    let done = import_while(&impatient, folder.path(), rows / 3, || server.kill());
    let Err(error) = done else { panic!("nobody was there to answer") };
    let is_said = matches!(error, Error::Milvus { problem: MilvusProblem::Silent { .. }, .. });
    assert!(is_said, "{error}: {}", error.reason());
    assert!(error.hint().unwrap().contains("goes on where it was"));
    server.run();
    server.wait();
    let patient = server.address("outage?consistency=strong&patience=180");
    // What was written before is there, and is passed over.
    let before = Store::open(&patient.parse().unwrap()).unwrap().counts().unwrap();
    assert!(before.segments > 0, "nothing of a third was there any more");

    // It goes away and comes back while it is waited for: then it is one load.
    let done = import_while(&patient, folder.path(), 2 * rows / 3, || {
        server.kill();
        server.run();
    });
    let (report, store) = done.unwrap_or_else(|error| panic!("{error}: {}", error.reason()));
    assert_eq!(report.imported + report.unchanged, expected.0);
    assert!(report.unchanged > 0, "{report:?}");
    let counts = store.unwrap().counts().unwrap();
    assert_eq!((counts.recordings, counts.segments), expected);

    // And what is there is what a library has.
    let mut stores: [Box<dyn Tested>; 2] =
        [Box::new(Embedded::new()), Box::new(Served::new(&patient))];
    for store in &mut stores {
        store.import(folder.path()).unwrap();
        store.reopen();
        assert_eq!(store.counts(), expected, "{}", store.name());
    }
    // A crash after the last acknowledgement takes none of it.
    server.kill();
    server.run();
    server.wait();
    stores[1].reopen();
    assert_eq!(stores[1].counts(), expected);
    let options = SearchOptions { count: 20, single_segments: true, ..SearchOptions::default() };
    for level in [Level::Recording, Level::Segment] {
        compare(&stores, "after all that", |store| {
            store.search(&question(11), level, None, &options).unwrap()
        });
    }
}
