//! LEB128 numbers, read strictly: shortest form only, 64 bits at most.

/// A number that is cut short, too long or not in its shortest form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadNumber;

/// A cursor over bytes.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(len)?;
        self.0 = tail;
        Some(head)
    }

    pub(super) fn unsigned(&mut self) -> Result<u64, BadNumber> {
        let mut value: u64 = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.take(1).and_then(<[u8]>::first).ok_or(BadNumber)?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(BadNumber);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return if byte == 0 && shift > 0 {
                    Err(BadNumber)
                } else {
                    Ok(value)
                };
            }
        }
        Err(BadNumber)
    }

    pub(super) fn signed(&mut self) -> Result<i64, BadNumber> {
        let start = self.0;
        let mut value: i64 = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.take(1).and_then(<[u8]>::first).ok_or(BadNumber)?;
            let bits = i64::from(byte & 0x7f);
            value |= bits.wrapping_shl(shift);
            if byte & 0x80 == 0 {
                if shift + 7 < 64 && byte & 0x40 != 0 {
                    value |= -1i64 << (shift + 7);
                }
                let mut shortest = Vec::with_capacity(10);
                write_signed(&mut shortest, value);
                let read = start.len() - self.0.len();
                return if shortest.len() == read && shortest == start[..read] {
                    Ok(value)
                } else {
                    Err(BadNumber)
                };
            }
        }
        Err(BadNumber)
    }

    /// A length, bounded by what is left: no run of zeros can ask for more than the chunk holds.
    pub(super) fn length(&mut self) -> Result<usize, BadNumber> {
        let length = usize::try_from(self.unsigned()?).map_err(|_| BadNumber)?;
        if length > self.0.len() {
            Err(BadNumber)
        } else {
            Ok(length)
        }
    }
}

pub(super) fn write_unsigned(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            out.push(byte);
            return;
        }
        out.push(byte | 0x80);
    }
}

pub(super) fn write_signed(out: &mut Vec<u8>, mut value: i64) {
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if (value == 0 && byte & 0x40 == 0) || (value == -1 && byte & 0x40 != 0) {
            out.push(byte);
            return;
        }
        out.push(byte | 0x80);
    }
}

/// How many bytes `write_signed` gives.
pub(super) fn signed_len(value: i64) -> usize {
    let mut out = Vec::with_capacity(10);
    write_signed(&mut out, value);
    out.len()
}
