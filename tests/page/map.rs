//! The map.

use fantoccini::key::Key;
use serde_json::json;

use crate::browser::{Page, in_browser};
use crate::site::LABELLED;

const POINTS: u32 = 50_000;
/// A browser that draws in software on a busy machine takes half a second for one.
const FRAMES: u32 = 60;

#[tokio::test(flavor = "multi_thread")]
async fn points_are_heard_when_they_are_pointed_at() {
    in_browser(async |page: Page| {
        page.open("/").await;
        page.label(LABELLED).await;
        page.open("/map").await;
        page.until("document.querySelectorAll('.legend button').length > 1").await;

        // Over the map in lines, until something is met.
        let (left, top, width, height) = page.box_of("#stage").await;
        'search: for row in 1..40 {
            for column in 1..60 {
                let (x, y) = (f64::from(column) / 60.0, f64::from(row) / 40.0);
                page.hover(left + x * width, top + y * height).await;
                if page.ask("return !document.querySelector('.ring').hidden").await == true {
                    break 'search;
                }
            }
        }
        page.until("document.querySelector('#point a') !== null").await;
        page.plays().await;

        // By keyboard to another one.
        let met = page.text("return document.getElementById('player').src").await;
        page.ask("document.getElementById('stage').focus()").await;
        page.press(&[Key::Down.into()]).await;
        page.until(&format!("document.getElementById('player').src !== '{met}'")).await;
        page.plays().await;

        page.ask("const by = document.getElementById('colour-by'); by.value = 'label'; by.dispatchEvent(new Event('change'))").await;
        page.until("document.getElementById('legend').innerText.includes('rooster')").await;
        page.is_well().await;
    })
    .await;
}

/// What the map is told instead of the library's points: eight clouds.
fn crowd() -> String {
    format!(
        "const fetched = window.fetch;
         window.fetch = async (address, options) => {{
           if (!String(address).startsWith('/v1/map')) return fetched(address, options);
           const count = {POINTS};
           const each = (value) => Array.from({{ length: count }}, (_, n) => value(n));
           const spread = (n, seed) => (Math.sin(n * 12.9898 + seed) * 43758.5453) % 1;
           return Response.json({{ points: {{
             segment_id: each((n) => n), recording_id: each((n) => 1 + n % 20),
             x: each((n) => Math.cos(n % 8) + 0.6 * spread(n, 1) * spread(n, 2)),
             y: each((n) => Math.sin(n % 8) + 0.6 * spread(n, 3) * spread(n, 4)),
             start_s: each(() => 1), end_s: each(() => 1.96), class: each((n) => n % 8), label: each(() => -1),
           }}, classes: ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'], explained: [0.2, 0.1] }});
         }};"
    )
}

/// A browser that has no WebGL.
const PLAIN: &str = "const context = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, ...more) {
  return kind === 'webgl' ? null : context.call(this, kind, ...more);
};";

/// Opens the map with many points, moves it, and says what the script of a frame took in
/// milliseconds: the median, what 95 of 100 frames stay under, and the worst.
async fn frames(page: &Page) -> [f64; 3] {
    page.open("/map").await;
    page.until("document.querySelectorAll('.legend button').length === 8").await;
    page.ask("document.getElementById('hear').click()").await;
    // Of every frame the script of its events and that of its drawing.
    let script = format!(
        "const stage = document.getElementById('stage');
         const box = stage.getBoundingClientRect();
         const frames = [];
         let drawn = 0;
         new PerformanceObserver((list) => {{ for (const entry of list.getEntries()) drawn += entry.duration; }}).observe({{ type: 'measure' }});
         const at = (x, y) => ({{ clientX: box.left + x * box.width, clientY: box.top + y * box.height, pointerId: 1, bubbles: true, cancelable: true }});
         // Pointers that are made up cannot be captured.
         stage.setPointerCapture = () => {{}};
         const send = (type, place, more = {{}}) => stage.dispatchEvent(
           type === 'wheel' ? new WheelEvent(type, {{ ...place, ...more }}) : new PointerEvent(type, {{ ...place, ...more }}));
         const next = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
         for (let n = 0; n < {FRAMES}; n += 1) {{
           const place = at(0.5 + 0.3 * Math.sin(n / 9), 0.5 + 0.3 * Math.cos(n / 7));
           drawn = 0;
           const began = performance.now();
           if (n % 3 === 0) send('wheel', place, {{ deltaY: n % 60 < 30 ? -120 : 120 }});
           else if (n % 3 === 1) send('pointermove', place);
           else {{ send('pointerdown', place); send('pointermove', at(0.5, 0.5)); send('pointerup', at(0.5, 0.5)); }}
           const events = performance.now() - began;
           await next();
           await next();
           frames.push(events + drawn);
         }}
         frames.sort((a, b) => a - b);
         return [frames[frames.length >> 1], frames[Math.floor(frames.length * 0.95)], frames.at(-1)];"
    );
    let times = page.ask(&script).await;
    [0, 1, 2].map(|place| times[place].as_f64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_thousand_points_are_drawn_while_they_move() {
    in_browser(async |page: Page| {
        page.open("/").await;
        let before = json!({ "source": crowd() });
        page.protocol("Page.addScriptToEvaluateOnNewDocument", before).await;
        for (by, name) in [("WebGL", "webgl"), ("2-D context", "plain")] {
            if name == "plain" {
                let before = json!({ "source": PLAIN });
                page.protocol("Page.addScriptToEvaluateOnNewDocument", before).await;
            }
            // Said, and not held against a limit: what else runs on the machine adds to it.
            let [median, most, worst] = frames(&page).await;
            eprintln!(
                "{POINTS} points by {by}, {FRAMES} frames: script {median:.2} ms (median), {most:.2} ms (95 %), {worst:.2} ms (worst)"
            );
            assert!(median > 0.0 && worst.is_finite(), "every frame was drawn");
            page.click("#zoom-all").await;
            page.picture(&format!("map-50000-{name}")).await;
            page.is_well().await;
        }
    })
    .await;
}
