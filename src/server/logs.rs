//! What happens, a line each, on standard error.
//!
//! In: events of `tracing`. Out: text for people, or JSON.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::settings::Logs;

/// Begins to write; a second time changes nothing.
pub(super) fn start(logs: Logs) {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::WARN.into())
        .parse_lossy(format!("warn,sonoteca={}", logs.level));
    let format = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Whoever has set one up before, such as a test, has it.
    let _ = if logs.json {
        format.json().flatten_event(true).with_current_span(false).try_init()
    } else {
        format.with_ansi(false).with_target(false).compact().try_init()
    };
}
