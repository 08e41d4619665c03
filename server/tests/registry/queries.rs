//! How many statements the hot requests cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::span;
use tracing::{Event, Metadata, Subscriber};

use crate::kit::{Kit, quoted};

/// Counts the statements that sqlx reports, apart from those that guard and audit cost every request.
#[derive(Clone, Default)]
struct Counter(Arc<AtomicUsize>);

struct Statement(String);

impl Visit for Statement {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "summary" || field.name() == "db.statement" {
            self.0.push_str(&format!("{value:?}"));
        }
    }
}

impl Subscriber for Counter {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut statement = Statement(String::new());
        event.record(&mut statement);
        let shared = [
            "audit_",
            "set_config",
            "sessions",
            "grants",
            "BEGIN",
            "COMMIT",
            "ROLLBACK",
        ];
        if !shared.iter().any(|name| statement.0.contains(name)) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn a_list_costs_at_most_four_statements_by_words_five_and_a_file_at_most_eight() {
    let kit = Kit::new().await;
    let house = kit.house("陕西中路12弄28号301室", json!({})).await;
    let mut people = Vec::new();
    for number in 0..6 {
        let birth = format!("197{number}-04-27");
        let person = kit
            .resident(
                &format!("叶海{}", "思".repeat(number + 1)),
                &birth,
                json!({}),
            )
            .await;
        kit.tie(&person, &house, "living", true).await;
        people.push(person);
    }
    let counter = Counter::default();
    let _guard = tracing::subscriber::set_default(counter.clone());
    let mut counts = Vec::new();
    for path in [
        "/api/residents".to_owned(),
        format!("/api/residents?text={}", quoted("叶海 12弄")),
        "/api/houses".to_owned(),
        format!("/api/residents/{}", people[0]),
        format!("/api/houses/{house}"),
        format!("/api/records/{}/history", people[0]),
    ] {
        counter.0.store(0, Ordering::Relaxed);
        kit.get(&kit.collector, &path).await;
        counts.push((path, counter.0.load(Ordering::Relaxed)));
    }
    for (index, (path, count)) in counts.iter().enumerate() {
        // By words: how common each is comes first.
        let most = match index {
            1 => 5,
            0 | 2 => 4,
            _ => 8,
        };
        assert!((1..=most).contains(count), "{path}: {count} statements");
    }
}
