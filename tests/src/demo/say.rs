//! What the demo prints: plain Chinese for whoever watches, English in brackets. Knows no step.

use std::io::Write;
use std::time::Instant;

use super::Report;

const CHINESE_NUMBERS: &[&str] = &["一", "二", "三", "四", "五", "六", "七", "八", "九", "十"];

/// See the module.
pub(super) struct Say<'a> {
    out: &'a mut (dyn Write + Send),
    step: usize,
    since: Instant,
    failed: Vec<String>,
}

impl<'a> Say<'a> {
    pub(super) fn new(out: &'a mut (dyn Write + Send)) -> Self {
        Self {
            out,
            step: 0,
            since: Instant::now(),
            failed: Vec::new(),
        }
    }

    pub(super) fn title(&mut self, chinese: &str, english: &str) -> anyhow::Result<()> {
        writeln!(self.out, "{chinese} ({english})")?;
        Ok(())
    }

    /// A new step.
    pub(super) fn step(&mut self, chinese: &str, english: &str) -> anyhow::Result<()> {
        let number = CHINESE_NUMBERS.get(self.step).copied().unwrap_or("又");
        self.step += 1;
        self.since = Instant::now();
        writeln!(self.out, "\n{number}、{chinese} ({english})")?;
        Ok(())
    }

    /// Something that happened.
    pub(super) fn line(&mut self, text: &str) -> anyhow::Result<()> {
        writeln!(self.out, "   {text}")?;
        self.out.flush()?;
        Ok(())
    }

    /// The same, with the time since the step began, or since the last such line.
    pub(super) fn timed(&mut self, text: &str) -> anyhow::Result<()> {
        let seconds = self.since.elapsed().as_secs_f64();
        self.since = Instant::now();
        self.line(&format!("{text}，{seconds:.1} 秒"))
    }

    /// Something that must hold. What doesn't is marked, kept, and fails the demo at its end.
    pub(super) fn check(&mut self, text: &str, holds: bool) -> anyhow::Result<()> {
        if !holds {
            self.failed.push(text.to_owned());
        }
        writeln!(self.out, " {} {text}", if holds { "✓" } else { "✗" })?;
        self.out.flush()?;
        Ok(())
    }

    /// What did not hold.
    pub(super) fn failed(&self) -> &[String] {
        &self.failed
    }

    /// The last lines.
    pub(super) fn summary(&mut self, report: &Report) -> anyhow::Result<()> {
        self.step("小结", "summary")?;
        self.line(&format!(
            "设备 {} 台，档案 {} 份；上传 {} 项，接收 {} 项；争议 {} 件，已裁决 {} 件；用时 {:.1} 秒",
            report.devices,
            report.records,
            report.changes_sent,
            report.changes_accepted,
            report.conflicts_opened,
            report.conflicts_decided,
            report.seconds,
        ))?;
        self.line(&format!(
            "照片 {} 张（{:.1} MB），全部到齐可查看 {} 张，其中一张断在第 {} 字节后续传",
            report.photos_taken,
            report.photo_bytes as f64 / 1e6,
            report.photos_seen,
            report.photo_resumed_at,
        ))?;
        for digest in &report.digests {
            self.line(&format!(
                "{}：第 {} 条，摘要 {}，内容 {}",
                digest.holder, digest.seq, digest.digest, digest.contents
            ))?;
        }
        if self.failed.is_empty() {
            self.line("全部一致 (everything agrees)")?;
        } else {
            for text in self.failed.clone() {
                writeln!(self.out, " ✗ {text}")?;
            }
        }
        Ok(())
    }
}
