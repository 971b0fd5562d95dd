//! The search page.

use fantoccini::key::Key;

use crate::browser::{Page, in_browser};
use crate::site::file_of;

const CARDS: &str = "document.querySelectorAll('#results .card').length";
/// The first answer's name, once no search is on its way.
const SETTLED: &str = "!document.getElementById('results').hasAttribute('aria-busy')";

/// Drops a sound that the page makes from a recording of the library.
async fn drop_recording(page: &Page, id: u32) {
    let script = format!(
        "const answer = await fetch('/v1/recordings/{id}/audio');
         const file = new File([await answer.blob()], 'dropped.ogg', {{ type: 'audio/ogg' }});
         const dropped = new DataTransfer();
         dropped.items.add(file);
         for (const type of ['dragenter', 'dragover', 'drop']) {{
           document.getElementById('drop').dispatchEvent(
             new DragEvent(type, {{ bubbles: true, cancelable: true, dataTransfer: dropped }}));
         }}"
    );
    page.ask(&script).await;
}

async fn first(page: &Page) -> String {
    page.text("return document.querySelector('#results .card').dataset.recording").await
}

async fn searches(page: &Page) -> f64 {
    let script = "return performance.getEntriesByType('resource').filter((entry) => entry.name.endsWith('/v1/search')).length";
    page.number(script).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_sound_finds_itself_plays_and_is_narrowed() {
    in_browser(async |page: Page| {
        page.open("/").await;
        page.until("document.getElementById('library').textContent.includes('20 recordings')").await;
        drop_recording(&page, 3).await;
        page.until(&format!("{CARDS} > 4 && {SETTLED}")).await;
        assert_eq!(first(&page).await, "3", "the library has what was dropped");
        assert_eq!(page.address().await, "/", "an upload is no part of the address");
        page.until("document.getElementById('not-shared').checkVisibility()").await;

        page.click("#results .card .play").await;
        page.plays().await;

        // Space plays the card that has the focus.
        page.ask("document.querySelectorAll('#results .card')[1].focus()").await;
        let source = page.text("return document.getElementById('player').src").await;
        page.press(&[' ']).await;
        page.until(&format!("document.getElementById('player').src !== '{source}'")).await;
        page.plays().await;

        // A stretch of it: the same question, about less.
        let before = searches(&page).await;
        page.drag("#example-picker .picker", 0.1, 0.5).await;
        page.until(&format!(
            "{SETTLED} && performance.getEntriesByType('resource').filter((entry) => entry.name.endsWith('/v1/search')).length > {before}"
        ))
        .await;
        let range = page.text("return document.getElementById('example-range').innerText").await;
        assert_eq!(range, "0.5 – 2.5 s");
        page.until(&format!("{CARDS} > 0")).await;

        // By keyboard an edge moves too, and asks when it rests.
        let before = searches(&page).await;
        page.ask("document.querySelector('#example-picker .edge').focus()").await;
        page.press(&[Key::Right.into(), Key::Right.into()]).await;
        page.until(&format!(
            "performance.getEntriesByType('resource').filter((entry) => entry.name.endsWith('/v1/search')).length > {before}"
        ))
        .await;
        let range = page.text("return document.getElementById('example-range').innerText").await;
        assert_eq!(range, "0.6 – 2.5 s");
        page.is_well().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_chosen_and_a_microphone_heard() {
    in_browser(async |page: Page| {
        page.open("/").await;
        let file = file_of("rooster");
        page.find("#file").await.send_keys(file.to_str().unwrap()).await.unwrap();
        page.until(&format!("{CARDS} > 4 && {SETTLED}")).await;
        let name = page.text("return document.querySelector('#results .card a').innerText").await;
        assert_eq!(name, file.file_name().unwrap().to_str().unwrap());

        page.click("#record").await;
        page.until("document.getElementById('recording-state').innerText.includes('0:02')").await;
        page.click("#record").await;
        page.until("document.getElementById('example-name').innerText.includes('microphone')")
            .await;
        page.until(&format!("{CARDS} > 0 && {SETTLED}")).await;
        page.click("#example-play").await;
        page.plays().await;
        page.is_well().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn words_paths_and_answers_become_an_address_that_others_can_open() {
    in_browser(async |page: Page| {
        page.open("/").await;
        page.write("#words", "rooster").await;
        page.press(&[Key::Enter.into()]).await;
        page.until(&format!("{CARDS} > 0 && {SETTLED}")).await;
        assert_eq!(page.address().await, "/?q=rooster");

        // A path is matched with the library's, wherever it was on another machine.
        let file = file_of("rain");
        let name = file.file_name().unwrap().to_str().unwrap();
        page.write("#words", &format!("C:\\elsewhere\\rain\\{name}")).await;
        page.press(&[Key::Enter.into()]).await;
        page.until(&format!("document.getElementById('example-name').innerText === '{name}'")).await;
        page.until(&format!("{CARDS} > 4 && {SETTLED}")).await;

        // More, less and together.
        page.ask("document.querySelectorAll('#results .card')[1].focus()").await;
        page.press(&['m']).await;
        page.until(&format!("{CARDS} > 4 && {SETTLED} && location.search.includes('like=')")).await;
        page.ask("document.querySelectorAll('#results .card')[3].focus()").await;
        page.press(&['l']).await;
        page.until(&format!("{CARDS} > 4 && {SETTLED} && location.search.includes('unlike=')")).await;
        page.ask("[...document.querySelectorAll('#results .card')].at(-1).focus()").await;
        page.press(&['a']).await;
        page.until(&format!("{SETTLED} && document.querySelectorAll('#examples li').length === 3")).await;

        // A filter, by a plain control and by words of its own.
        page.ask("document.getElementById('filters').open = true").await;
        page.write("#filters [name=folder]", "sounds/rain").await;
        page.press(&[Key::Enter.into()]).await;
        page.until(&format!("{SETTLED} && location.search.includes('folder=')")).await;
        let paths = "[...document.querySelectorAll('#results .card-path')].every((path) => path.title.includes('rain/'))";
        page.until(&format!("{CARDS} > 0 && {paths}")).await;
        let shown = page.text("return document.getElementById('results').innerText").await;
        let address = page.address().await;

        // Who opens the address sees the same.
        page.open("/map").await;
        page.ask("history.replaceState(null, '', '/map')").await;
        page.open(&address).await;
        page.until(&format!("{CARDS} > 0 && {SETTLED}")).await;
        assert_eq!(page.text("return document.getElementById('results').innerText").await, shown);
        page.is_well().await;

        // Mistakes are said where one looks, with what to do.
        page.write("#filters [name=where]", "duratoin < 5").await;
        page.press(&[Key::Enter.into()]).await;
        page.until("document.querySelector('#results .notice.error')?.innerText.includes('duratoin')").await;
        page.click("#filters button[type=reset]").await;
        page.until(&format!("{CARDS} > 0 && {SETTLED}")).await;
        page.write("#words", "xylophonist").await;
        page.press(&[Key::Enter.into()]).await;
        page.until("document.getElementById('results').innerText.includes('Nothing was found')").await;
        // And back: the last question is asked again.
        page.client.back().await.unwrap();
        page.until(&format!("{CARDS} > 0 && {SETTLED}")).await;
    })
    .await;
}
