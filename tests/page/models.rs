//! A library of several models: one is chosen at the top of every page.

use crate::browser::{Page, in_browser_with};
use crate::site::LABELLED;

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_chosen_once_for_all_pages() {
    in_browser_with("crnn-bell", async |page: Page| {
        const CHOSEN: &str = "document.getElementById('model').value";
        page.open("/?q=Rain").await;
        page.until("!document.getElementById('model-chooser').hidden").await;
        assert_eq!(page.text(&format!("return {CHOSEN}")).await, "yamnet");
        page.until("document.querySelectorAll('#results .card').length > 0").await;
        page.is_well().await;

        page.open("/recordings/2").await;
        page.until("document.querySelectorAll('.lane.classes').length > 0").await;
        page.open("/map").await;
        page.until("document.querySelectorAll('#legend li').length > 2").await;
        page.is_well().await;

        // Another one, here and on the next page.
        page.ask(
            "const select = document.getElementById('model');
             select.value = 'crnn-bell';
             select.dispatchEvent(new Event('change'));",
        )
        .await;
        page.until(&format!("document.readyState === 'complete' && {CHOSEN} === 'crnn-bell'"))
            .await;
        page.until("document.getElementById('map-empty').hidden").await;
        page.open("/?like=2").await;
        page.until("document.getElementById('results-note').innerText.includes('crnn-bell')").await;
        // An address that names one is meant so.
        page.open("/?like=2&model=yamnet").await;
        page.until("document.getElementById('results-note').innerText.includes('yamnet')").await;
        assert_eq!(page.text(&format!("return {CHOSEN}")).await, "yamnet");
        page.picture("models").await;
        page.is_well().await;

        page.label(LABELLED).await;
        page.open("/train").await;
        page.until("document.querySelectorAll('#classes input').length === 4").await;
        page.write("#train-form [name=name]", "bells").await;
        page.click("#train-form button[type=submit]").await;
        page.until("document.querySelector('#scores .big')?.innerText.includes('%')").await;
        let head = page.ask("return (await (await fetch('/v1/heads/bells')).json()).model").await;
        assert_eq!(head["name"].as_str().or(head.as_str()), Some("crnn-bell"), "{head}");
        page.is_well().await;
    })
    .await;
}
