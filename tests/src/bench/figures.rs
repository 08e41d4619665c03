//! Figures as JSON lines, one each: medians of their runs. Knows no measuring.

use std::io::Write;

use serde::Serialize;

/// See the module.
pub(super) struct Figures<'a> {
    system: String,
    out: &'a mut (dyn Write + Send),
}

#[derive(Serialize)]
struct Line<'a> {
    system: &'a str,
    figure: &'a str,
    unit: &'a str,
    value: f64,
    runs: usize,
    #[serde(skip_serializing_if = "str::is_empty")]
    target: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    note: &'a str,
}

impl<'a> Figures<'a> {
    pub(super) fn new(out: &'a mut (dyn Write + Send)) -> Self {
        Self::of("doorstep", out)
    }

    /// Figures of something that has a column of its own.
    pub(super) fn of(system: &str, out: &'a mut (dyn Write + Send)) -> Self {
        let system = system.to_owned();
        Self { system, out }
    }

    /// The median of the runs.
    pub(super) fn put(
        &mut self,
        figure: &str,
        unit: &str,
        target: &str,
        values: &[f64],
    ) -> anyhow::Result<()> {
        self.put_with_note(figure, unit, target, values, "")
    }

    /// The same, with something that a reader must know.
    pub(super) fn put_with_note(
        &mut self,
        figure: &str,
        unit: &str,
        target: &str,
        values: &[f64],
        note: &str,
    ) -> anyhow::Result<()> {
        let value = (median(values) * 1000.0).round() / 1000.0;
        let line = Line {
            system: &self.system,
            figure,
            unit,
            value,
            runs: values.len(),
            target,
            note,
        };
        writeln!(self.out, "{}", serde_json::to_string(&line)?)?;
        self.out.flush()?;
        Ok(())
    }
}

/// The middle of the values; of an even number, the upper of the two.
pub(super) fn median(values: &[f64]) -> f64 {
    percentile(values, 0.5)
}

/// The value that so large a share of the values does not exceed.
pub(super) fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() as f64 * share) as usize;
    sorted
        .get(at.min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::{median, percentile};

    #[test]
    fn the_middle_and_the_tail() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert!((percentile(&hundred, 0.95) - 96.0).abs() < f64::EPSILON);
        assert!((percentile(&[7.0], 0.95) - 7.0).abs() < f64::EPSILON);
    }
}
