//! Pictures of every page, for people to look at: light, dark, and on a phone.

use serde_json::json;

use crate::browser::{Page, in_browser};
use crate::site::LABELLED;

/// Pictures below the window are loaded when somebody comes near: here, at once.
const LOADED: &str =
    "[...document.images].every((image) => { image.loading = 'eager'; return image.complete; })";

/// A page's name, address, and what is on it when it is there.
const PAGES: [(&str, &str, &str); 7] = [
    ("start", "/", "#results .empty"),
    ("search", "/?like=3:0.5-2.5&folder=sounds", "#results .card"),
    ("words", "/?q=rain", "#results .card"),
    ("error", "/?q=dog&where=duratoin+%3C+5", "#results .error"),
    ("recording", "/recordings/3#1.20-3.10", ".lane.classes"),
    ("train", "/train", "main:has(#scores .big):has(.judge-question):has(#examples .card)"),
    ("map", "/map", ".legend button"),
];

/// Texts whose contrast with what is behind them is under 4.5 to 1, or 3 to 1 where they are large (WCAG 2.1,
/// 1.4.3).
const FAINT: &str = "
const numbers = (colour) => {
  const found = colour.match(/[\\d.]+/g).map(Number);
  const share = colour.startsWith('color(') ? 255 : 1;
  return [...found.slice(0, 3).map((part) => part * share), found[3] ?? 1];
};
const over = ([r, g, b, a], below) => [r, g, b].map((part, n) => part * a + below[n] * (1 - a));
const behind = (element) => {
  if (!element) return [255, 255, 255];
  const colour = numbers(getComputedStyle(element).backgroundColor);
  return colour[3] === 1 ? colour.slice(0, 3) : over(colour, behind(element.parentElement));
};
const light = (colour) => colour.map((part) => part / 255)
  .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
  .reduce((sum, part, n) => sum + part * [0.2126, 0.7152, 0.0722][n], 0);
const faint = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.textContent.trim() || !element.checkVisibility() || element.closest(':disabled, option, .unseen, noscript, .skip')) continue;
  const style = getComputedStyle(element);
  const ground = behind(element);
  const [a, b] = [light(over(numbers(style.color), ground)), light(ground)].sort((x, y) => y - x);
  const least = parseFloat(style.fontSize) >= 24 ? 3 : 4.5;
  const ratio = (a + 0.05) / (b + 0.05);
  if (ratio < least) faint.push(`${element.textContent.slice(0, 30)}: ${ratio.toFixed(2)}`);
}
return faint;";

/// Controls that a screen reader could not name.
const NAMELESS: &str = "
return [...document.querySelectorAll('button, a[href], input, select, [role=slider], [role=application]')]
  .filter((one) => one.checkVisibility() && !(one.textContent.trim() || one.getAttribute('aria-label') || one.labels?.length || one.title))
  .map((one) => one.outerHTML);";

#[tokio::test(flavor = "multi_thread")]
async fn every_page_fits_its_window() {
    in_browser(async |page: Page| {
        page.open("/").await;
        page.label(LABELLED).await;
        // A head, for its scores.
        page.ask(
            "const post = (path, body) => fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
             let job = await (await post('/v1/heads', { name: 'farm', head: 'logistic', by: 'recording' })).json();
             while (['queued', 'running'].includes(job.state)) {
               await new Promise((resolve) => setTimeout(resolve, 200));
               job = await (await fetch(`/v1/jobs/${job.id}`)).json();
             }
             if (job.state !== 'done') throw new Error(JSON.stringify(job));",
        )
        .await;
        for (scheme, width, height, dark) in
            [("light", 1280, 900, false), ("dark", 1280, 900, true), ("phone", 390, 844, false)]
        {
            let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
            page.protocol("Emulation.setDeviceMetricsOverride", metrics).await;
            let value = if dark { "dark" } else { "light" };
            let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": value }] });
            page.protocol("Emulation.setEmulatedMedia", media).await;
            for (name, address, there) in PAGES {
                page.open(address).await;
                page.until(&format!("document.querySelector('{there}') !== null")).await;
                page.until(LOADED).await;
                page.picture(&format!("{name}-{scheme}")).await;
                let wide = page.number("return document.documentElement.scrollWidth").await;
                assert!(wide <= f64::from(width), "{name} is {wide} wide on {scheme}");
                let where_it_is = format!("{name} on {scheme}");
                assert_eq!(page.ask(FAINT).await, json!([]), "{where_it_is}");
                assert_eq!(page.ask(NAMELESS).await, json!([]), "{where_it_is}");
                page.is_well().await;
            }
        }
    })
    .await;
}
