//! A recording's page.

use fantoccini::key::Key;

use crate::browser::{Page, in_browser};

const LABELS: &str = "document.querySelectorAll('#labels tr').length";

async fn labels(page: &Page) -> serde_json::Value {
    page.ask("return (await (await fetch('/v1/labels?recording_id=2')).json()).labels").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_heard_labelled_and_taken_back() {
    in_browser(async |page: Page| {
        page.open("/").await;
        page.open("/recordings/2").await;
        page.until("document.querySelectorAll('.tile').length > 0 && [...document.querySelectorAll('.tile')].every((tile) => tile.complete && tile.naturalWidth > 0)").await;
        page.until("document.querySelectorAll('.lane.classes').length > 0").await;
        assert_eq!(labels(&page).await, serde_json::json!([]));

        page.click("#play").await;
        page.plays().await;
        page.until("parseFloat(document.querySelector('.playhead').style.left) > 20").await;
        page.click("#play").await;
        page.until("document.getElementById('player').paused").await;

        // Drag, type, and it is a label of just that stretch.
        page.drag(".timeline .view", 0.2, 0.6).await;
        page.until("document.getElementById('range').innerText.startsWith('0:01.00')").await;
        page.write("#label-class", "yapping").await;
        page.press(&[Key::Enter.into()]).await;
        page.until(&format!("{LABELS} === 1")).await;
        let label = &labels(&page).await[0];
        assert_eq!((&label["class"], &label["kind"]), (&"yapping".into(), &"positive".into()));
        assert!((label["start_s"].as_f64().unwrap() - 1.0).abs() < 0.02, "{label}");
        assert!((label["end_s"].as_f64().unwrap() - 3.0).abs() < 0.02, "{label}");
        page.until("document.querySelectorAll('.lane .stretch').length === 1").await;

        // Now it is a frequent one: a range and its number are enough.
        page.open("/recordings/2").await;
        page.until("document.querySelectorAll('#frequent button').length === 1").await;
        page.drag(".timeline .view", 0.7, 0.9).await;
        page.press(&['1']).await;
        page.until(&format!("{LABELS} === 2")).await;

        page.press_with(Key::Control.into(), 'z').await;
        page.until(&format!("{LABELS} === 1")).await;
        page.click("#labels button").await;
        page.until(&format!("{LABELS} === 0")).await;
        page.click("#undo").await;
        page.until(&format!("{LABELS} === 1")).await;
        assert_eq!(labels(&page).await[0]["class"], "yapping");

        // Closer, and along.
        page.ask("document.querySelector('.timeline .view').focus()").await;
        page.press(&['+', '+', Key::Right.into()]).await;
        page.until("document.querySelector('.scrollbar span').style.width === '25%'").await;
        page.press(&['0']).await;
        page.until("document.querySelector('.scrollbar span').style.width === '100%'").await;
        page.is_well().await;

        page.open("/recordings/99999").await;
        page.until("document.body.innerText.includes('There is no such recording')").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_of_one_stretch_are_all_seen() {
    in_browser(async |page: Page| {
        page.open("/").await;
        page.ask(
            "const write = async (label) => {
               const body = JSON.stringify({ recording_id: 2, ...label });
               await fetch('/v1/labels', { method: 'POST', headers: { 'content-type': 'application/json' }, body });
             };
             await write({ class: 'whole' });
             await write({ class: 'buzz' });
             await write({ class: 'part', start_s: 0.5, end_s: 1 });
             await write({ class: 'later', start_s: 2, end_s: 3 });",
        )
        .await;
        page.open("/recordings/2").await;
        page.until("document.querySelectorAll('.lane .stretch').length === 4").await;
        // Each is what is met in its own middle, and within its lane.
        let seen = page
            .ask(
                "document.querySelector('.lane .stretch').scrollIntoView({ block: 'center' });
                 return [...document.querySelectorAll('.lane .stretch')].filter((stretch) => {
                   const box = stretch.getBoundingClientRect();
                   const lane = stretch.parentElement.getBoundingClientRect();
                   const met = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
                   return met === stretch && box.bottom <= lane.bottom + 1;
                 }).map((stretch) => stretch.textContent).sort()",
            )
            .await;
        assert_eq!(seen, serde_json::json!(["buzz", "later", "part", "whole"]));
        page.picture("labels-of-one-stretch").await;
        page.is_well().await;
    })
    .await;
}
