//! `sonoteca serve`: the library over HTTP.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::Serialize;
use sonoteca::Result;
use sonoteca::ingest::Decoders;
use sonoteca::milvus::Address;

use crate::cli::Status;
use crate::cli::args::{Format, ServeArgs};
use crate::cli::printer::Printer;
use crate::cli::settings::{Settings, Verbosity};
use crate::server;

pub(crate) fn run(args: &ServeArgs, settings: &Settings, printer: &mut Printer) -> Result<Status> {
    // First of all: it must come before there are threads.
    let decoders = Decoders::start_with(server::errand);
    let told = server::Settings {
        library: settings.library.clone(),
        bind: args.bind,
        token: args.token.clone().filter(|token| !token.is_empty()),
        insecure: args.insecure,
        hosts: args.host.clone(),
        folders: args.folder.clone(),
        model: args.model.clone(),
        store: args.store.as_deref().map(str::parse::<Address>).transpose()?,
        logs: server::Logs {
            json: settings.format == Format::Json,
            level: match settings.verbosity {
                Verbosity::Quiet => tracing::Level::WARN,
                Verbosity::Normal => tracing::Level::INFO,
                Verbosity::Verbose => tracing::Level::DEBUG,
            },
        },
    };
    // Before the library is opened: what it would mean should not depend on that.
    server::check(&told)?;
    if args.insecure && !args.bind.ip().is_loopback() {
        printer.warning(
            "whoever reaches this address may hear, label, train and delete: no token is asked for",
        );
    } else if !args.bind.ip().is_loopback() {
        printer.warning("there is no TLS: what is sent, the token too, can be read on its way");
    }
    let is_json = settings.format == Format::Json;
    server::run(told, decoders, |listening| {
        let started = Started::new(listening, args);
        if is_json {
            printer.object(&started)?;
            return printer.flush();
        }
        printer.note(&format!("Serving {} at {}", settings.library.display(), started.url));
        if let Some(token) = &started.token {
            printer.note(&format!("Token for programs: {token}"));
        }
        if let Some(usual) = listening.usual.as_ref().filter(|usual| !usual.others.is_empty()) {
            printer.note(&said_of(usual));
        }
        printer.note("Ctrl-C ends it.");
        Ok(())
    })?;
    Ok(Status::Done)
}

/// Which model is meant where none is named, why, and how to choose another.
fn said_of(usual: &server::Usual) -> String {
    let why = match usual.why {
        server::Why::Chosen => "--model says so",
        server::Why::HasWords => "it has the most words for what it hears",
        server::Why::HasMost => "it has heard the most recordings",
    };
    let (name, others) = (&usual.name, usual.others.join(", "));
    format!(
        "Model where none is named: {name}; {why}. Others of the library: {others}; the page lets \
         you choose, and --model NAME."
    )
}

/// Where it is served.
#[derive(Debug, Serialize)]
struct Started {
    url: String,
    address: SocketAddr,
    token: Option<String>,
    /// What is meant where a request names none.
    model: Option<String>,
}

impl Started {
    fn new(listening: &server::Listening, args: &ServeArgs) -> Self {
        let mut address = listening.address;
        // All addresses are none that a browser could be pointed at.
        if address.ip().is_unspecified() {
            address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        // Who chose a token knows it, and need not find it in a log.
        let is_chosen = args.token.as_ref().is_some_and(|token| !token.is_empty());
        let token = listening.token.clone().filter(|_| !is_chosen);
        let model = listening.usual.as_ref().map(|usual| usual.name.clone());
        Self { url: format!("http://{address}/"), address: listening.address, token, model }
    }
}
