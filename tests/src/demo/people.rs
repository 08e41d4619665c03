//! Invented people with sound certificate numbers. Knows no register.

use doorstep_core::identity::id_number;
use doorstep_core::value::Fields;

/// A resident that is not in the register: born in a year, with a number of one's own.
pub(super) fn newcomer(name: &str, birth: &str, order: u16, phone: &str) -> Fields {
    let body = format!("320583{}{order:03}", birth.replace('-', ""));
    let digit = id_number::check_digit(&body).unwrap_or('X');
    [
        ("name", name),
        ("certificate_kind", "111"),
        ("id_number", &format!("{body}{digit}")),
        ("sex", if order % 2 == 1 { "1" } else { "2" }),
        ("birth_date", birth),
        ("population_kind", "02"),
        ("phone", phone),
    ]
    .map(|(key, value)| (key.to_owned(), value.into()))
    .into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use doorstep_core::records::{self, Mode};

    #[test]
    fn a_newcomer_can_be_recorded() {
        let fields = super::newcomer("沈知遥", "1994-05-16", 27, "13800138027");
        let resident = records::record_type("resident").unwrap();
        assert_eq!(records::validate(resident, &fields, Mode::Whole), []);
    }
}
