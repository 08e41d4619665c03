//! Half-written files: every prefix of a workbook is refused with a reason, and of a file of the police's by its control
//! file, which they write last. A table in text says nowhere where it ends: a prefix of it is judged row by row like any,
//! and makes no server fail. An upload that breaks off leaves nothing behind.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use doorstep_core::crypto::sm3;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::ground::Ground;
use super::{Figures, Options, book};
use crate::repository;
use crate::town::routes;

const IMPORTS: &str = "SELECT count(*) FROM imports";

/// Rows of the police's file.
const ADDRESSES: usize = 4;

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
    let addresses = exchanged(ground, step, &mut figures)?;
    figures.fault(ground.is_sound().await);
    figures.note = format!(
        "a workbook of {} bytes, a table of {}, addresses of {addresses}",
        book.len(),
        text.len()
    );
    Ok(figures)
}

/// Prefixes of a file of standard addresses beside the control file of the whole, at every step and at the end of each
/// row; then the whole. Gives its bytes.
fn exchanged(ground: &mut Ground, step: usize, figures: &mut Figures) -> anyhow::Result<usize> {
    let fixture = "tests/fixtures/police/DZ_310101002001_20261120_0001.txt";
    let bytes = std::fs::read(repository::root().join(fixture))?;
    let rows = bytes.split_inclusive(|byte| *byte == b'\n');
    let mut whole = Vec::new();
    let mut lengths = BTreeSet::new();
    for row in rows.take(ADDRESSES) {
        lengths.insert(whole.len());
        whole.extend_from_slice(row);
    }
    lengths.extend((0..whole.len()).step_by(step));
    let folder = ground.place();
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("DZ_310101002001_20261121_0001.txt");
    let control = format!(
        "file=DZ_310101002001_20261121_0001.txt\r\nrows={ADDRESSES}\r\nbytes={}\r\nsm3={}\r\n",
        whole.len(),
        hex::encode(sm3::digest(&[&whole]))
    );
    std::fs::write(file.with_extension("ok"), control)?;
    let name = file.to_string_lossy().into_owned();
    let import = ["addresses", "import", &name, "--json"];
    for length in lengths {
        std::fs::write(&file, &whole[..length])?;
        let output = ground.server.try_command(&import)?;
        let said: Value = serde_json::from_slice(&output.stdout)?;
        let fields = said["error"]["fields"].as_array();
        let differs = fields.is_some_and(|fields| fields.iter().any(|one| one["code"] == "sm3"));
        figures.fault(if differs && !output.status.success() {
            Ok(())
        } else {
            Err(format!("{length} bytes of addresses: {said}"))
        });
    }
    std::fs::write(&file, &whole)?;
    let said: Value = serde_json::from_str(&ground.server.command(&import)?)?;
    ensure!(said["added"] == ADDRESSES, "the whole file: {said}");
    Ok(whole.len())
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
