//! What can be typed after `sonoteca serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

/// `sonoteca serve`
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Serve the library as a page and an API

Opens nothing by itself: point a browser at the address that it prints. Programs send the token that it \
                  prints as `Authorization: Bearer TOKEN`; /openapi.json describes what they can ask.

On this machine only, unless --bind says otherwise. Names of other sites, and requests of their pages, are \
                  refused. The token keeps other sites out; it does not keep out other users of this \
                  machine, to whom the page hands it as well, unless --token chooses one. On another \
                  address everybody who reaches it would hear every recording: that takes a --token, or \
                  --insecure. There is no TLS: put a proxy in front of it, and name it with --host.

With --store searches are answered by a Milvus server. What it finds and the library has too, by its path, \
                  is the library's recording: it is played, drawn and labelled. Of the rest, where it is \
                  and what the network hears there is told, and that it is no more than that.

Ctrl-C and SIGTERM finish what is in flight and end it.",
    after_help = "Examples:
  sonoteca serve
  sonoteca serve --library ~/sounds.db --bind 127.0.0.1:8080
  SONOTECA_TOKEN=$(openssl rand -hex 32) sonoteca serve --bind 0.0.0.0:7340 --host sounds.example.org
  sonoteca serve --folder ~/recordings     new recordings are looked for there
  sonoteca serve --store milvus://localhost:19530/sounds
  sonoteca serve --format json 2> log      the log as JSON, an object a line"
)]
pub(crate) struct ServeArgs {
    /// Where to listen; port 0 takes one that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7340", value_parser = address)]
    pub(crate) bind: SocketAddr,
    /// What has to be sent by whoever asks, 16 characters or more [default: a random one, which the
    /// page hands out on loopback]
    #[arg(long, value_name = "TOKEN", env = "SONOTECA_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// Ask for no token: whoever reaches the address may hear, label, train and delete
    #[arg(long, conflicts_with = "token")]
    pub(crate) insecure: bool,
    /// A name under which browsers reach it, besides localhost and addresses; may be given several
    /// times
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Vec<String>,
    /// Where to look for new recordings; may be given several times [default: the folders that the
    /// library's recordings lie in]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) folder: Vec<PathBuf>,
    /// The network that is meant where a request names none [default: yamnet, or
    /// else the one with most recordings]
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// Answer searches from a collection on a Milvus server: milvus://HOST:PORT/COLLECTION; sound,
    /// pictures and labels stay the library's
    #[arg(long, value_name = "ADDRESS", long_help = super::store::HELP)]
    pub(crate) store: Option<String>,
}

/// An address to listen at.
fn address(written: &str) -> Result<SocketAddr, String> {
    written.parse().map_err(|_| {
        let port = written.trim_start_matches(':');
        let port = port.parse::<u16>().map_or_else(|_| "7340".to_owned(), |port| port.to_string());
        format!("expected an address and a port up to 65535, such as 127.0.0.1:{port}")
    })
}
