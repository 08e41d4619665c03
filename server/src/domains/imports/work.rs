//! The work on imports, in the background: any node takes one that nobody works on, goes on from its last batch, and
//! keeps it by a lease that is renewed with each batch. A batch is one transaction: what it wrote, its rows, how far
//! the work has come, and the audit entry. It holds the import from its beginning, so that a batch is done once, however
//! long it waits and whatever the clocks of two nodes say: before all other locks (register::neighbours names those).

use chrono::{DateTime, Duration, Utc};
use doorstep_core::ids::{RecordId, UserId};
use doorstep_core::protocol::frames::Outcome;
use doorstep_core::records;
use doorstep_core::records::Severity;
use doorstep_core::records::import_map::Mapping;
use serde_json::json;
use sqlx::types::Uuid;

use super::back;
use super::judge::{Judge, Judged, Write};
use super::model::{Counts, ImportRow, RowBody, RowProblemView, RowRow, Step, Verdict, Written};
use super::rows::Sealer;
use super::store::{self, RowColumns};
use crate::database::{Tx, system_tx};
use crate::domains::audit::{self, Action, Entry};
use crate::error::{ApiError, ApiResult, Kind};
use crate::register::{self, Submission, Submitter};
use crate::state::AppState;

/// How long a batch may take before another node takes over.
pub(super) const LEASE: Duration = Duration::minutes(2);
/// Rows of a batch: residents write two or three records each.
const RESIDENTS: i64 = 200;
const HOUSES: i64 = 500;

/// Starts the work without waiting for it.
pub(super) fn spawn(state: &AppState) {
    let state = state.clone();
    tokio::spawn(async move {
        if let Err(error) = work(&state).await {
            tracing::error!(%error, "the work on imports stopped");
        }
    });
}

/// Works until no import waits.
///
/// # Errors
/// When the database fails; the work is taken up again by the next call.
pub async fn work(state: &AppState) -> ApiResult<()> {
    loop {
        if *state.stopping.borrow() {
            return Ok(());
        }
        let now = state.clock.now();
        let mut tx = system_tx(&state.pool).await?;
        let claimed = store::claim(&mut tx, now, now + LEASE).await?;
        tx.commit().await?;
        let Some(mut import) = claimed else {
            return Ok(());
        };
        let step = Step::of(&import.status).unwrap_or(Step::Undo);
        let ended = match step {
            Step::Check => check(state, &mut import).await,
            Step::Run => run(state, &mut import).await,
            Step::Undo => back::take_back(state, &mut import).await,
        };
        match ended {
            Ok(()) => {}
            // Busy or going down: the lease runs out and the work is taken up again.
            Err(error) if error.kind == Kind::Unavailable || *state.stopping.borrow() => {
                return Err(error);
            }
            Err(error) => {
                tracing::error!(import = %import.id, %error, "an import failed");
                let failure = step.failure(error.code);
                let end = End {
                    status: "failed",
                    failure: Some(&failure),
                    code: "import_failed",
                    text: failed_text(step),
                };
                finish(state, &import, end).await?;
            }
        }
    }
}

/// What is said of a step that broke off.
fn failed_text(step: Step) -> &'static str {
    match step {
        Step::Check => {
            "导入文件的核对中断了：服务器处理时出了问题，什么也没有写入。请到“数据导入”重新核对。"
        }
        Step::Run => {
            "导入中断了：服务器处理时出了问题，已写入的行都有记录。请到“数据导入”继续导入，或撤销。"
        }
        Step::Undo => {
            "撤销导入中断了：服务器处理时出了问题，还没有全部恢复。请到“数据导入”继续撤销。"
        }
    }
}

fn judge(import: &ImportRow, heads: &[String]) -> ApiResult<Judge> {
    let declared = records::record_type(&import.record_type)
        .ok_or_else(|| ApiError::internal(anyhow::anyhow!("unknown record type")))?;
    let (mapping, _) = Mapping::from_heads(declared, heads);
    Ok(Judge::new(
        declared,
        mapping,
        import.area(),
        import.options.0.duplicates,
    ))
}

fn batch_size(import: &ImportRow) -> i64 {
    if import.record_type == "house" {
        HOUSES
    } else {
        RESIDENTS
    }
}

fn opened(sealer: &Sealer, rows: &[RowRow]) -> ApiResult<Vec<(i32, Vec<String>)>> {
    rows.iter()
        .map(|row| Ok((row.row, sealer.open_row(row)?.cells)))
        .collect()
}

/// The dry run: a verdict for each row, nothing written. It judges from the first row, since rows are compared with
/// those before them; a check that broke off begins anew.
async fn check(state: &AppState, import: &mut ImportRow) -> ApiResult<()> {
    let sealer = Sealer::of(state, import).await?;
    let meta = sealer.open_meta(import)?;
    let mut judge = judge(import, &meta.heads)?;
    let mut counts = Counts::default();
    let mut after = 0;
    loop {
        let Some(mut tx) = hold(state, import).await? else {
            return Ok(());
        };
        let rows = store::rows_after(&mut tx, import.id, after, batch_size(import)).await?;
        let Some(last) = rows.last() else { break };
        after = last.row;
        let cells = opened(&sealer, &rows)?;
        let judged = judge.batch(&mut tx, state, &cells).await?;
        let mut columns = RowColumns::default();
        for (judged, (_, cells)) in judged.into_iter().zip(cells) {
            counts.add(&judged);
            // A record that would be made has no id yet.
            let record = judged
                .record
                .filter(|_| matches!(judged.verdict, Verdict::Unchanged | Verdict::Changed));
            columns.push(&sealer, judged, record, "waiting", cells, Vec::new())?;
        }
        store::set_rows(&mut tx, import.id, &columns).await?;
        store::progress(&mut tx, import.id, after, counts, state.clock.now() + LEASE).await?;
        tx.commit().await?;
        import.version += 1;
    }
    let text = format!(
        "核对完成：{}。还没有写入，请到“数据导入”查看结果，再开始导入。",
        counts.words()
    );
    end(state, import, "checked", "import_checked", &text).await
}

/// Writes the rows, from the first that is not written yet.
async fn run(state: &AppState, import: &mut ImportRow) -> ApiResult<()> {
    let sealer = Sealer::of(state, import).await?;
    let meta = sealer.open_meta(import)?;
    let mut judge = judge(import, &meta.heads)?;
    let mut counts = if import.at_row == 0 {
        let mut tx = system_tx(&state.pool).await?;
        // What a run that failed wrote is written, however soon this one fails.
        let written = store::done_rows(&mut tx, import.id).await?;
        Counts {
            written,
            ..Counts::default()
        }
    } else {
        import.counts.0
    };
    let mut after = import.at_row;
    loop {
        let Some(mut tx) = hold(state, import).await? else {
            return Ok(());
        };
        let rows = store::rows_after(&mut tx, import.id, after, batch_size(import)).await?;
        let Some(last) = rows.last() else { break };
        after = last.row;
        // A run that failed begins anew; what it wrote then, and can be taken back, stays as it is noted.
        let (done, rows): (Vec<RowRow>, Vec<RowRow>) =
            rows.into_iter().partition(|row| row.state == "done");
        counts.keep(&done);
        let cells = opened(&sealer, &rows)?;
        let judged = judge.batch(&mut tx, state, &cells).await?;
        let by = UserId(import.created_by);
        let writes = judged.iter().flat_map(|judged| &judged.writes);
        let puts = writes.map(|write| write.put.clone());
        let submission = Submission::puts(Submitter::server(state, by), puts);
        let mut applied = register::apply(&mut tx, state, vec![submission]).await?;
        let suspects: Vec<(RecordId, RecordId)> = judged
            .iter()
            .flat_map(|judged| judged.suspects.iter().copied())
            .collect();
        applied
            .told
            .add(register::suspect_duplicates(&mut tx, state, &suspects, by).await?);
        let outcomes: Vec<Outcome> = applied.outcomes().cloned().collect();
        let mut outcomes = outcomes.iter();
        let mut columns = RowColumns::default();
        for (mut judged, (_, cells)) in judged.into_iter().zip(cells) {
            let writes = written(&mut judged, &mut outcomes);
            let state = if writes.is_empty() { "waiting" } else { "done" };
            counts.written += i64::from(!writes.is_empty());
            counts.add(&judged);
            let record = judged.record;
            columns.push(&sealer, judged, record, state, cells, writes)?;
        }
        store::set_rows(&mut tx, import.id, &columns).await?;
        store::progress(&mut tx, import.id, after, counts, state.clock.now() + LEASE).await?;
        let detail = json!({ "rows": columns.row.len(), "to_row": after, "changes": applied.changes,
            "conflicts": applied.conflicts, "refused": applied.refused });
        let entry = Entry::by_server(state.clock.now(), Action::WriteImportBatch)
            .user(by)
            .subject("import", import.id)
            .area(import.area());
        audit::record(&mut tx, entry.detail(detail)).await?;
        tx.commit().await?;
        import.version += 1;
        applied.tell(state);
        metrics::counter!("doorstep_import_rows_total").increment(columns.row.len() as u64);
    }
    let text = format!("导入完成：{}。", counts.words());
    end(state, import, "done", "import_done", &text).await
}

/// Begins a transaction of the work on an import, which holds the import; none where the work is another's by now. Each
/// claim, batch and step makes a new version: one that stands as it was left is still this worker's.
pub(super) async fn hold(state: &AppState, import: &ImportRow) -> ApiResult<Option<Tx>> {
    let mut tx = system_tx(&state.pool).await?;
    let version = store::hold(&mut tx, import.id).await?;
    if version == Some(import.version) {
        return Ok(Some(tx));
    }
    tracing::info!(import = %import.id, "the work on an import went on elsewhere");
    Ok(None)
}

/// Ends a step, and tells who brought the file in.
pub(super) async fn end(
    state: &AppState,
    import: &ImportRow,
    status: &str,
    code: &str,
    text: &str,
) -> ApiResult<()> {
    let end = End {
        status,
        failure: None,
        code,
        text,
    };
    finish(state, import, end).await
}

/// How a step ends, and what its end is called in the message of it.
struct End<'a> {
    status: &'a str,
    failure: Option<&'a str>,
    code: &'a str,
    text: &'a str,
}

async fn finish(state: &AppState, import: &ImportRow, end: End<'_>) -> ApiResult<()> {
    let now: DateTime<Utc> = state.clock.now();
    let Some(mut tx) = hold(state, import).await? else {
        return Ok(());
    };
    store::finish(&mut tx, import.id, end.status, end.failure, now).await?;
    let message = register::message(
        UserId(import.created_by),
        import.id,
        end.code,
        end.text,
        register::About::Import,
        state.clock.timestamp(),
    );
    let told = register::append_states(&mut tx, vec![message], now).await?;
    tx.commit().await?;
    told.to(&state.hub);
    Ok(())
}

/// What a row wrote, by the outcomes of its puts. A put that the register refused turns the row into an error.
fn written<'a>(
    judged: &mut Judged,
    outcomes: &mut impl Iterator<Item = &'a Outcome>,
) -> Vec<Written> {
    let mut writes = Vec::new();
    for Write { put, before } in judged.writes.drain(..) {
        match outcomes.next() {
            Some(Outcome::Accepted) => writes.push(Written {
                record: put.record,
                record_type: put.record_type,
                created: before.is_none(),
                before: before.unwrap_or_default(),
                after: put.fields,
            }),
            Some(Outcome::Refused(refusal)) => {
                judged.verdict = Verdict::Error;
                judged.problems.push(RowProblemView {
                    path: refusal.field.clone().unwrap_or_default(),
                    ..RowProblemView::of_row(
                        &refusal.code,
                        refusal.message.clone(),
                        Severity::Error,
                    )
                });
            }
            _ => {}
        }
    }
    writes
}

impl Counts {
    fn words(&self) -> String {
        format!(
            "新增 {} 行，更新 {} 行，无变化 {} 行，疑似重复 {} 行，有错误 {} 行",
            self.new, self.changed, self.unchanged, self.duplicate, self.error
        )
    }

    fn keep(&mut self, done: &[RowRow]) {
        for row in done {
            self.count(Verdict::from_code(&row.verdict).unwrap_or_default());
            self.warnings += i64::from(row.warnings > 0);
        }
    }

    fn add(&mut self, judged: &Judged) {
        self.count(judged.verdict);
        let warned = judged.problems.iter().any(|problem| !problem.is_error());
        self.warnings += i64::from(warned);
    }

    fn count(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::New => self.new += 1,
            Verdict::Unchanged => self.unchanged += 1,
            Verdict::Changed => self.changed += 1,
            Verdict::Duplicate => self.duplicate += 1,
            Verdict::Error => self.error += 1,
            Verdict::Waiting => {}
        }
    }
}

impl RowColumns {
    fn push(
        &mut self,
        sealer: &Sealer,
        judged: Judged,
        record: Option<RecordId>,
        state: &'static str,
        cells: Vec<String>,
        writes: Vec<Written>,
    ) -> ApiResult<()> {
        let id = |record: Option<RecordId>| -> Option<Uuid> { record.map(|id| id.0) };
        let warnings = judged
            .problems
            .iter()
            .filter(|problem| !problem.is_error())
            .count();
        let body = RowBody {
            cells,
            problems: judged.problems,
            changed: judged.changed,
            writes,
        };
        self.row.push(judged.row);
        self.verdict.push(judged.verdict.code());
        self.warnings
            .push(i32::try_from(warnings).unwrap_or(i32::MAX));
        self.state.push(state);
        self.record.push(id(record));
        self.duplicate_of.push(id(judged.duplicate_of));
        self.duplicate_row.push(judged.duplicate_row);
        self.body.push(sealer.seal_row(judged.row, &body)?);
        Ok(())
    }
}
