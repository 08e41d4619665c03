//! Run-length columns: a positive count and one value, or a negative count and that many literal values.
//! Null runs (count 0) do not occur in the columns of a flat change and are refused.

use super::leb::{BadNumber, Reader, write_signed, write_unsigned};

/// Reads exactly `expected` values of a column.
pub(super) fn read<'a, T: Clone>(
    column: &'a [u8],
    expected: usize,
    mut value: impl FnMut(&mut Reader<'a>) -> Result<T, BadNumber>,
) -> Result<Vec<T>, BadNumber> {
    let mut reader = Reader(column);
    let mut out = Vec::with_capacity(expected);
    while !reader.is_empty() {
        let count = reader.signed()?;
        let length = usize::try_from(count.unsigned_abs()).map_err(|_| BadNumber)?;
        if length == 0 || length > expected - out.len() {
            return Err(BadNumber);
        }
        if count > 0 {
            let one = value(&mut reader)?;
            out.extend(std::iter::repeat_n(one, length));
        } else {
            for _ in 0..length {
                out.push(value(&mut reader)?);
            }
        }
    }
    if out.len() == expected {
        Ok(out)
    } else {
        Err(BadNumber)
    }
}

/// How many values a column holds, or an error once they are more than `limit`.
pub(super) fn count<'a, T>(
    column: &'a [u8],
    limit: usize,
    mut value: impl FnMut(&mut Reader<'a>) -> Result<T, BadNumber>,
) -> Result<usize, BadNumber> {
    let mut reader = Reader(column);
    let mut total = 0usize;
    while !reader.is_empty() {
        let count = reader.signed()?;
        let length = usize::try_from(count.unsigned_abs()).map_err(|_| BadNumber)?;
        if length == 0 || length > limit - total {
            return Err(BadNumber);
        }
        total += length;
        for _ in 0..if count > 0 { 1 } else { length } {
            value(&mut reader)?;
        }
    }
    Ok(total)
}

/// Writes a column the way Automerge does: runs of two and more, literals between them.
pub(super) fn write<T: PartialEq>(
    out: &mut Vec<u8>,
    values: &[T],
    mut value: impl FnMut(&mut Vec<u8>, &T),
) {
    let mut at = 0;
    while at < values.len() {
        let run = values[at..]
            .iter()
            .take_while(|next| **next == values[at])
            .count();
        if run > 1 {
            write_signed(out, run as i64);
            value(out, &values[at]);
            at += run;
            continue;
        }
        let literals = 1 + values[at + 1..]
            .iter()
            .enumerate()
            .take_while(|(offset, next)| values.get(at + offset + 2) != Some(next))
            .count();
        write_signed(out, -(literals as i64));
        for literal in &values[at..at + literals] {
            value(out, literal);
        }
        at += literals;
    }
}

/// Writes unsigned numbers as a column.
pub(super) fn write_numbers(out: &mut Vec<u8>, values: &[u64]) {
    write(out, values, |out, number| write_unsigned(out, *number));
}

/// Writes numbers as the differences from one to the next.
pub(super) fn write_deltas(out: &mut Vec<u8>, values: impl Iterator<Item = i64>) {
    let mut last = 0i64;
    let deltas: Vec<i64> = values
        .map(|value| {
            let delta = value.saturating_sub(last);
            last = value;
            delta
        })
        .collect();
    write(out, &deltas, |out, delta| write_signed(out, *delta));
}
