//! Half-written files: every prefix of a workbook is refused with a reason, no prefix of a table in text makes the
//! server fail, and an upload that breaks off leaves nothing behind.

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::ground::Ground;
use super::{Figures, Options, book};
use crate::town::routes;

const IMPORTS: &str = "SELECT count(*) FROM imports";

const ROWS: [[&str; 3]; 4] = [
    ["姓名", "性别", "人员类别"],
    ["何晓梅", "女", "户籍人口"],
    ["林朝霞", "女", "户籍人口"],
    ["叶海思", "男", "流动人口"],
];

/// The row `half-files`.
pub(super) async fn play(options: &Options, ground: &mut Ground) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    let book = workbook()?;
    let whole = upload(ground, &book).await?;
    anyhow::ensure!(whole.is_ok(), "the whole workbook: {whole:?}");
    let before = ground.number(IMPORTS).await?;
    let step = if options.short { 29 } else { 1 };
    for length in (0..book.len()).step_by(step) {
        let said = upload(ground, &book[..length]).await?;
        figures.fault(match said {
            Err(400..500) => Ok(()),
            other => Err(format!("{length} bytes of a workbook: {other:?}")),
        });
    }
    let after = ground.number(IMPORTS).await?;
    if after != before {
        figures.fault(Err(format!(
            "{} imports of half a workbook",
            after - before
        )));
    }
    let text = table();
    for length in (0..text.len()).step_by(step.min(7)) {
        // A table in text does not say where it ends: what is there is judged row by row.
        let said = upload(ground, &text.as_bytes()[..length]).await?;
        figures.fault(match said {
            Ok(()) | Err(400..500) => Ok(()),
            other => Err(format!("{length} bytes of a table: {other:?}")),
        });
    }
    let before = ground.number(IMPORTS).await?;
    for part in 1..=options.count(8, 100) {
        broken_off(ground, &text, part).await?;
        figures.fault(Ok(()));
    }
    let after = ground.number(IMPORTS).await?;
    if after != before {
        figures.fault(Err(format!(
            "{} imports of broken-off uploads",
            after - before
        )));
    }
    figures.fault(ground.is_sound().await);
    figures.note = format!(
        "a workbook of {} bytes, a table of {}",
        book.len(),
        text.len()
    );
    Ok(figures)
}

/// Uploads a file without having it checked; the status when it is refused.
pub(super) async fn upload(ground: &Ground, bytes: &[u8]) -> anyhow::Result<Result<(), u16>> {
    let path = path(ground);
    let api = &ground.supervisor.api;
    let said = api
        .post_file(&path, "application/octet-stream", bytes.to_vec())
        .await;
    match said {
        Ok(_) => Ok(Ok(())),
        Err(error) => {
            let text = format!("{error:#}");
            let status = text
                .strip_prefix(&format!("{path}: "))
                .and_then(|rest| rest.get(..3)?.parse().ok());
            Ok(Err(status.context(text)?))
        }
    }
}

fn path(ground: &Ground) -> String {
    format!(
        "{}?type=resident&area={}&name=half",
        routes::IMPORTS,
        ground.area
    )
}

/// Says that more is to come than comes, and goes.
async fn broken_off(ground: &Ground, text: &str, part: u64) -> anyhow::Result<()> {
    let host = ground.server.url();
    let host = host.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).await?;
    let sent = &text.as_bytes()[..text.len() * usize::try_from(part % 10)? / 10];
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {}\r\nContent-Type: text/csv\r\nContent-Length: {}\r\n\r\n",
        path(ground),
        ground.supervisor.api.token().unwrap_or_default(),
        text.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(sent).await?;
    stream.shutdown().await?;
    // Whatever is answered, if anything: the server has seen that nothing more comes.
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok();
    Ok(())
}

fn table() -> String {
    ROWS.map(|row| row.join(",")).join("\r\n") + "\r\n"
}

fn workbook() -> anyhow::Result<Vec<u8>> {
    let cell = |text: &str| format!(r#"<c t="inlineStr"><is><t>{text}</t></is></c>"#);
    let rows: String = ROWS
        .iter()
        .map(|row| {
            let cells: String = row.iter().map(|text| cell(text)).collect();
            format!("<row>{cells}</row>")
        })
        .collect();
    book::of_rows(&rows)
}
