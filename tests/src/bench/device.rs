//! The app itself: opening it, the first list, searching, editing. All on the encrypted store on disk.

use std::time::Instant;

use anyhow::{Context, ensure};
use doorstep_core::value::Value;

use super::Scene;
use super::figures::{Figures, percentile};
use crate::town::Phone;

/// How many records a list shows at first.
const PAGE: usize = 50;
/// How many searches and edits of a kind.
const TIMES: usize = 100;

pub(super) fn measure(
    phone: Phone,
    scene: &Scene<'_>,
    runs: usize,
    figures: &mut Figures<'_>,
) -> anyhow::Result<()> {
    let mut opened = Vec::new();
    let mut phone = phone;
    for _ in 0..runs.max(5) {
        let started = Instant::now();
        phone = phone.reopen()?;
        let listed = phone.list("resident", "", PAGE)?;
        opened.push(started.elapsed().as_secs_f64() * 1e3);
        ensure!(listed.len() == PAGE, "the list is short");
    }
    figures.put("open the app, first list", "ms", "300", &opened)?;
    for (figure, asked) in searches(scene)? {
        let mut times = Vec::new();
        for text in &asked {
            let started = Instant::now();
            let found = phone.list("resident", text, PAGE)?;
            times.push(started.elapsed().as_secs_f64() * 1e3);
            ensure!(!found.is_empty(), "nothing is found for {text}");
        }
        let slow = format!("p95 {:.1} ms", percentile(&times, 0.95));
        figures.put_with_note(figure, "ms", "50", &times, &slow)?;
    }
    let mut edits = Vec::new();
    for (number, id) in scene.ids.iter().take(TIMES).enumerate() {
        let started = Instant::now();
        phone.set(*id, "remark", format!("第 {number} 次"))?;
        edits.push(started.elapsed().as_secs_f64() * 1e3);
    }
    let slow = format!("p95 {:.1} ms", percentile(&edits, 0.95));
    figures.put_with_note("edit on the device", "ms", "5", &edits, &slow)
}

/// What people type: a whole name, a name's initials, a part of an address, the last digits of a certificate.
fn searches(scene: &Scene<'_>) -> anyhow::Result<Vec<(&'static str, Vec<String>)>> {
    let residents = scene
        .work
        .records
        .iter()
        .filter(|record| record.r#type == "resident");
    let (mut names, mut initials, mut places, mut digits) = (vec![], vec![], vec![], vec![]);
    for record in residents.step_by(7).take(TIMES) {
        let text = |key: &str| {
            record
                .fields
                .get(key)
                .and_then(Value::as_text)
                .context("a field of the work")
        };
        names.push(text("name")?.to_owned());
        initials.push(doorstep_core::names::initials(text("name")?));
        let address = text("register_address")?;
        places.push(address.trim_start_matches("上海市黄浦区").to_owned());
        let number = text("id_number")?;
        digits.push(number[number.len() - 4..].to_owned());
    }
    Ok(vec![
        ("search by name", names),
        ("search by initials", initials),
        ("search by address", places),
        ("search by last digits", digits),
    ])
}
