//! The page where heads are trained.

use fantoccini::key::Key;

use crate::browser::{Page, in_browser};
use crate::site::LABELLED;

async fn count(page: &Page, class: &str) -> u64 {
    page.ask(&format!(
        "const {{ label_classes }} = await (await fetch('/v1/library')).json();
         return label_classes.find((one) => one.class === '{class}')?.by_people ?? 0;"
    ))
    .await
    .as_u64()
    .unwrap()
}

async fn train(page: &Page) {
    page.ask("document.getElementById('scores').dataset.before = '1'; document.getElementById('scores').replaceChildren()").await;
    page.click("#train-form button[type=submit]").await;
    page.until("document.querySelector('#scores .big')?.innerText.includes('%')").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_is_trained_corrected_and_trained_again() {
    in_browser(async |page: Page| {
        page.open("/").await;
        page.label(LABELLED).await;
        page.open("/train").await;
        page.until("document.querySelectorAll('#classes input').length === 4").await;
        page.ask("document.querySelectorAll('#classes input').forEach((box) => box.click())").await;
        page.write("#train-form [name=name]", "farm").await;
        train(&page).await;
        let scores = page.text("return document.getElementById('scores').innerText").await;
        assert!(scores.contains("95 % interval"), "{scores}");
        assert_eq!(
            page.ask("return document.querySelectorAll('.confusion tbody td').length").await,
            16
        );

        // What it asks is answered with a key each, and taken back with another.
        page.until("document.querySelector('.judge-question') !== null").await;
        let class = page.text("return document.getElementById('judge-class').value").await;
        let before = count(&page, &class).await;
        let asked = page.text("return document.querySelector('#judge a').href").await;
        page.ask("document.activeElement.blur()").await;
        page.press(&[' ']).await;
        page.plays().await;
        page.press(&['y']).await;
        page.until(&format!("document.querySelector('#judge a')?.href !== '{asked}'")).await;
        page.until("!document.getElementById('judge-undo').disabled").await;
        assert_eq!(count(&page, &class).await, before + 1);
        page.press_with(Key::Control.into(), 'z').await;
        page.until(&format!("document.querySelector('#judge a')?.href === '{asked}'")).await;
        assert_eq!(count(&page, &class).await, before);
        page.press(&['n']).await;
        page.until(&format!("document.querySelector('#judge a')?.href !== '{asked}'")).await;

        // It hears the library, and learns from the correction.
        page.click("#scores-links button").await;
        page.until(
            "document.getElementById('predict-job').innerText.includes('has heard the library')",
        )
        .await;
        // Who said an example is told, people first.
        page.ask("const select = document.getElementById('judge-class'); select.value = 'rain'; select.dispatchEvent(new Event('change'))").await;
        page.until("document.getElementById('examples-note').innerText.includes('by heads')").await;
        let said = page
            .ask("return [...document.querySelectorAll('#examples .label')].map((one) => one.innerText)")
            .await;
        let said: Vec<&str> = said.as_array().unwrap().iter().filter_map(|one| one.as_str()).collect();
        let people = said.iter().filter(|text| text.ends_with("by a person")).count();
        assert!(people >= LABELLED && said[..people].iter().all(|one| one.ends_with("by a person")));
        assert!(said[people..].iter().all(|one| one.ends_with("said by head farm")), "{said:?}");
        let note = page.text("return document.getElementById('examples-note').innerText").await;
        assert!(note.contains(&format!("{people} labels by people")), "{note}");

        // A head that is there is replaced only when somebody says so.
        let trained = "return (await (await fetch('/v1/heads/farm')).json()).trained_at";
        let before = page.text(trained).await;
        page.click("#train-form button[type=submit]").await;
        page.until("document.getElementById('train-job').innerText.includes('replaces it')").await;
        assert_eq!(page.text(trained).await, before);
        page.ask("document.getElementById('scores').replaceChildren()").await;
        page.click("#train-job .primary").await;
        page.until("document.querySelector('#scores .big')?.innerText.includes('%')").await;
        page.is_well().await;

        // The form says how a head was trained, not how forms begin.
        page.ask(
            "await fetch('/v1/heads', { method: 'POST', headers: { 'content-type': 'application/json' },
               body: JSON.stringify({ name: 'moments', by: 'segment', head: 'prototype', task: 'multi', exhaustive: true }) });",
        )
        .await;
        page.open("/train").await;
        let chip = "[...document.querySelectorAll('#heads button')].find((one) => one.innerText === 'moments')";
        page.until("(await (await fetch('/v1/heads')).json()).heads.some((one) => one.name === 'moments')").await;
        page.open("/train").await;
        page.until(&format!("{chip} !== undefined")).await;
        page.ask(&format!("{chip}.click()")).await;
        page.until("document.querySelector('#train-form [name=name]').value === 'moments'").await;
        let form = page
            .ask(
                "const { elements } = document.getElementById('train-form');
                 return ['head', 'by', 'task'].map((field) => elements[field].value)",
            )
            .await;
        assert_eq!(form, serde_json::json!(["prototype", "segment", "multi"]));

        page.open("/v1/heads/farm/report.html").await;
        page.until("document.querySelector('h1') !== null").await;
        assert_eq!(page.ask("return window.problems").await, serde_json::json!([]));

        page.open("/?head=farm&head_class=rain").await;
        page.until("document.querySelectorAll('#results .card').length > 0").await;
        page.is_well().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_class_begins_with_what_its_name_finds() {
    in_browser(async |page: Page| {
        page.open("/").await;
        page.open("/train").await;
        page.until("document.getElementById('classes').innerText.includes('No label yet')").await;
        page.write("#new-class-name", "Rain").await;
        page.press(&[Key::Enter.into()]).await;
        page.until("document.querySelector('.judge-question') !== null").await;
        page.ask("document.activeElement.blur()").await;
        page.press(&['y']).await;
        page.until("document.getElementById('judge-of').innerText.startsWith('2 of')").await;
        assert_eq!(count(&page, "Rain").await, 1);
        page.is_well().await;
    })
    .await;
}
