//! A headless Chromium, driven by `WebDriver` and, where that has no word for something, by the
//! browser's own protocol.
//!
//! In: what a user does. Out: what the page then is. Errors of scripts, violations of the content
//! security policy and files that do not load fail the test.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::panic::resume_unwind;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::http::Method;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fantoccini::actions::{
    Actions, InputSource, KeyAction, KeyActions, MOUSE_BUTTON_LEFT, MouseActions, PointerAction,
};
use fantoccini::elements::Element;
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use url::{ParseError, Url};

use crate::site::Site;

/// The longest that anything takes on a slow machine that is busy with something else.
const PATIENCE: Duration = Duration::from_mins(1);

/// One browser at a time: two share what one has anyway, and both become slow.
static TURN: Mutex<()> = Mutex::const_new(());

/// Notes what went wrong in a page, from before its first script.
const WATCH: &str = "window.problems = [];
addEventListener('error', (event) => window.problems.push(
    event.target === window ? String(event.error?.stack ?? event.message) : `not loaded: ${event.target.src ?? event.target.href}`), true);
addEventListener('unhandledrejection', (event) => window.problems.push(`unhandled: ${event.reason?.stack ?? event.reason}`));
addEventListener('securitypolicyviolation', (event) => window.problems.push(`policy: ${event.violatedDirective} ${event.blockedURI}`));";

/// A call of the browser's own protocol.
#[derive(Debug)]
struct Protocol {
    command: &'static str,
    parameters: Value,
}

impl WebDriverCompatibleCommand for Protocol {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        let body = json!({ "cmd": self.command, "params": self.parameters });
        (Method::POST, Some(body.to_string()))
    }
}

/// A window with a page of a server.
#[derive(Clone)]
pub struct Page {
    pub client: Client,
    address: String,
}

struct Driver(Child);

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn chromium() -> Option<&'static str> {
    let found = |name: &str| {
        let mut run = Command::new(name);
        run.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        run.status().is_ok_and(|status| status.success())
    };
    ["chromium", "google-chrome"].into_iter().find(|name| found(name) && found("chromedriver"))
}

fn driver() -> (Driver, String) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let child = Command::new("chromedriver")
        .arg(format!("--port={port}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(began.elapsed() < PATIENCE, "chromedriver listens");
        std::thread::sleep(Duration::from_millis(50));
    }
    (Driver(child), format!("http://127.0.0.1:{port}"))
}

fn capabilities(browser: &str) -> Capabilities {
    let arguments = [
        "--headless=new",
        // Tests run as root in containers, whose shared memory is small.
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--window-size=1280,900",
        // Nobody clicks first, there is no loudspeaker, and the microphone is made up.
        "--autoplay-policy=no-user-gesture-required",
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        "--enable-unsafe-swiftshader",
        "--hide-scrollbars",
    ];
    let binary = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .map(|folder| folder.join(browser))
        .find(|path| path.exists())
        .unwrap();
    let options = json!({ "args": arguments, "binary": binary });
    [("goog:chromeOptions".to_owned(), options)].into_iter().collect()
}

/// Does `test` in a browser at a server of its own; says aloud where it cannot.
pub async fn in_browser<T: Future<Output = ()> + Send + 'static>(test: impl FnOnce(Page) -> T) {
    run(None, test).await;
}

/// The same, with a library that `model` has heard too.
pub async fn in_browser_with<T: Future<Output = ()> + Send + 'static>(
    model: &str,
    test: impl FnOnce(Page) -> T,
) {
    run(Some(model), test).await;
}

async fn run<T: Future<Output = ()> + Send + 'static>(
    model: Option<&str>,
    test: impl FnOnce(Page) -> T,
) {
    let _turn = TURN.lock().await;
    let Some(browser) = chromium() else {
        eprintln!("SKIPPED: there is no Chromium with chromedriver (scripts/setup_chromium.sh)");
        return;
    };
    let Some(site) = Site::start(model) else { return };
    let (driver, endpoint) = driver();
    let client = ClientBuilder::new(HttpConnector::new())
        .capabilities(capabilities(browser))
        .connect(&endpoint)
        .await
        .unwrap();
    let page = Page { client: client.clone(), address: site.address.clone() };
    page.protocol("Page.addScriptToEvaluateOnNewDocument", json!({ "source": WATCH })).await;
    let running = page.clone();
    let outcome = tokio::spawn(test(running)).await;
    if outcome.is_err() {
        page.picture("failed").await;
        eprintln!("the server wrote:\n{}", site.log());
    }
    // Without this the browser would outlive its driver.
    client.close().await.unwrap();
    drop(driver);
    if let Err(error) = outcome {
        resume_unwind(error.into_panic());
    }
}

impl Page {
    /// Calls the browser's own protocol.
    pub async fn protocol(&self, command: &'static str, parameters: Value) -> Value {
        self.client.issue_cmd(Protocol { command, parameters }).await.unwrap()
    }

    /// Opens a page of the server.
    pub async fn open(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.address)).await.unwrap();
    }

    /// What an asynchronous function with this body returns in the page.
    pub async fn ask(&self, body: &str) -> Value {
        let script = format!(
            "const done = arguments[arguments.length - 1];
             (async () => {{ {body} }})().then((value) => done({{ value: value ?? null }}), (error) => done({{ error: String(error) }}));"
        );
        let answer = self.client.execute_async(&script, vec![]).await.unwrap();
        assert!(answer["error"].is_null(), "{body}: {}", answer["error"]);
        answer["value"].clone()
    }

    /// What a script that returns text returns.
    pub async fn text(&self, body: &str) -> String {
        self.ask(body).await.as_str().unwrap_or_default().to_owned()
    }

    /// What a script that returns a number returns.
    pub async fn number(&self, body: &str) -> f64 {
        self.ask(body).await.as_f64().unwrap_or(f64::NAN)
    }

    /// Waits until `expression` holds in the page.
    pub async fn until(&self, expression: &str) {
        let began = Instant::now();
        loop {
            if self.ask(&format!("return Boolean({expression})")).await == true {
                return;
            }
            if began.elapsed() > PATIENCE {
                let text = self.text("return document.body.innerText").await;
                let problems = self.ask("return window.problems").await;
                panic!("never: {expression}\n{problems}\n{text}");
            }
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
    }

    pub async fn find(&self, selector: &str) -> Element {
        self.client.find(Locator::Css(selector)).await.unwrap()
    }

    pub async fn click(&self, selector: &str) {
        self.find(selector).await.click().await.unwrap();
    }

    /// Writes into a field that may hold something.
    pub async fn write(&self, selector: &str, text: &str) {
        let field = self.find(selector).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    pub async fn address(&self) -> String {
        let url = self.client.current_url().await.unwrap();
        url[url::Position::BeforePath..].to_owned()
    }

    /// Presses keys, one after the other, wherever the focus is.
    pub async fn press(&self, keys: &[char]) {
        let mut actions = KeyActions::new("keyboard".to_owned());
        for &value in keys {
            actions = actions.then(KeyAction::Down { value }).then(KeyAction::Up { value });
        }
        self.client.perform_actions(actions).await.unwrap();
    }

    /// Presses a key while another is held.
    pub async fn press_with(&self, held: char, key: char) {
        let actions = KeyActions::new("keyboard".to_owned())
            .then(KeyAction::Down { value: held })
            .then(KeyAction::Down { value: key })
            .then(KeyAction::Up { value: key })
            .then(KeyAction::Up { value: held });
        self.client.perform_actions(actions).await.unwrap();
    }

    /// Drags over an element, from one share of its width to another.
    pub async fn drag(&self, selector: &str, from: f64, to: f64) {
        let (left, top, width, height) = self.box_of(selector).await;
        let at = |share: f64| (left + share * width, top + height / 2.0);
        let moved = |share: f64, milliseconds| {
            let (x, y) = at(share);
            let duration = Some(Duration::from_millis(milliseconds));
            PointerAction::MoveTo { duration, x, y }
        };
        let mouse = MouseActions::new("mouse".to_owned())
            .then(moved(from, 0))
            .then(PointerAction::Down { button: MOUSE_BUTTON_LEFT })
            .then(moved(f64::midpoint(from, to), 80))
            .then(moved(to, 80))
            .then(PointerAction::Up { button: MOUSE_BUTTON_LEFT });
        self.client.perform_actions(Actions::from(mouse)).await.unwrap();
    }

    /// Moves the mouse to a place of the window.
    pub async fn hover(&self, x: f64, y: f64) {
        let duration = Some(Duration::from_millis(20));
        let mouse =
            MouseActions::new("mouse".to_owned()).then(PointerAction::MoveTo { duration, x, y });
        self.client.perform_actions(Actions::from(mouse)).await.unwrap();
    }

    /// Left, top, width and height of an element in the window, into which it is scrolled.
    pub async fn box_of(&self, selector: &str) -> (f64, f64, f64, f64) {
        let script = format!(
            "const element = document.querySelector('{selector}');
             element.scrollIntoView({{ block: 'center' }});
             const box = element.getBoundingClientRect();
             return [box.left, box.top, box.width, box.height];"
        );
        let sides = self.ask(&script).await;
        let side = |place: usize| sides[place].as_f64().unwrap();
        (side(0), side(1), side(2), side(3))
    }

    /// Fails if the page had any error.
    pub async fn is_well(&self) {
        assert_eq!(self.ask("return window.problems").await, json!([]));
        assert_eq!(self.text("return document.getElementById('problem').innerText").await, "");
    }

    /// Waits until the audio element plays, and fails unless its time goes on.
    pub async fn plays(&self) {
        const TIME: &str = "document.getElementById('player').currentTime";
        self.until(&format!("{TIME} > 0.1 && !document.getElementById('player').paused")).await;
        let before = self.number(&format!("return {TIME}")).await;
        self.until(&format!("{TIME} > {before} + 0.1 || document.getElementById('player').ended"))
            .await;
    }

    /// Labels the first `each` recordings of every class with the name of their folder.
    pub async fn label(&self, each: usize) {
        let script = format!(
            "const {{ recordings }} = await (await fetch('/v1/recordings?limit=100')).json();
             const counts = {{}};
             for (const recording of recordings) {{
               const name = recording.path.split('/').at(-2);
               counts[name] = (counts[name] ?? 0) + 1;
               if (counts[name] > {each}) continue;
               const body = JSON.stringify({{ recording_id: recording.id, class: name }});
               const answer = await fetch('/v1/labels', {{ method: 'POST', headers: {{ 'content-type': 'application/json' }}, body }});
               if (!answer.ok) throw new Error(await answer.text());
             }}"
        );
        self.ask(&script).await;
    }

    /// Keeps a picture of the whole page.
    pub async fn picture(&self, name: &str) {
        let parameters = json!({ "format": "png", "captureBeyondViewport": true });
        let answer = self.protocol("Page.captureScreenshot", parameters).await;
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("screenshots");
        fs::create_dir_all(&folder).unwrap();
        let bytes = STANDARD.decode(answer["data"].as_str().unwrap()).unwrap();
        fs::write(folder.join(format!("{name}.png")), bytes).unwrap();
    }
}
