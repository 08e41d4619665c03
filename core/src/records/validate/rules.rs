//! The rules over several fields, as the declaration states them. Knows the fields at hand, not how a
//! single value is checked.

use super::{Check, Mode};
use crate::identity::certificate::RESIDENT_ID;
use crate::identity::id_number::{IdNumber, cross_check};
use crate::records::read;
use crate::records::types::{RecordType, Rule, Severity};

impl Check<'_> {
    pub(super) fn rule(&mut self, rt: &RecordType, rule: &Rule) {
        match rule {
            Rule::NotBefore {
                field,
                other,
                code,
                message,
                severity,
            } => {
                let date = |name: &str| self.text(name).and_then(read::iso_date);
                if let (Some(later), Some(earlier)) = (date(field), date(other))
                    && later < earlier
                {
                    self.add(*severity, field, code.clone(), message.clone());
                }
            }
            Rule::RequiredWhen {
                field,
                when,
                is,
                code,
                message,
                severity,
            } => {
                if self.fields.get(when) == Some(is) && !self.filled(field) {
                    self.add(*severity, field, code.clone(), message.clone());
                }
            }
            Rule::AnyOf {
                fields,
                code,
                message,
            } => {
                let path = fields.first().map_or("", String::as_str);
                if self.mode != Mode::Partial && !fields.iter().any(|f| self.filled(f)) {
                    self.add(Severity::Error, path, code.clone(), message.clone());
                }
            }
            Rule::Together {
                fields,
                code,
                message,
            } => {
                let filled = fields.iter().filter(|f| self.filled(f)).count();
                let missing = fields.iter().find(|f| !self.filled(f));
                if let (Some(path), true) = (missing, filled > 0) {
                    self.add(Severity::Error, path, code.clone(), message.clone());
                }
            }
            Rule::NumberMatches {
                number,
                birth_date,
                sex,
            } => self.number_matches(rt, number, birth_date, sex),
        }
    }

    fn filled(&self, name: &str) -> bool {
        self.fields
            .get(name)
            .is_some_and(|v| !v.is_null() && v.as_text().is_none_or(|t| !t.trim().is_empty()))
    }

    fn number_matches(&mut self, rt: &RecordType, number: &str, birth_date: &str, sex: &str) {
        let (Some(field), Some(text)) = (rt.named(number), self.text(number)) else {
            return;
        };
        if self.certificate_kind(field, text) != RESIDENT_ID {
            return;
        }
        let Ok(parsed) = IdNumber::parse(text) else {
            return;
        };
        let birth = self.text(birth_date).and_then(read::iso_date);
        for (path, code, problem) in cross_check(&parsed, birth, None)
            .into_iter()
            .map(|p| (birth_date, "id_birth_mismatch", p))
            .chain(
                cross_check(&parsed, None, self.text(sex))
                    .into_iter()
                    .map(|p| (sex, "id_sex_mismatch", p)),
            )
            .collect::<Vec<_>>()
        {
            self.add(Severity::Warning, path, code, problem.message);
        }
    }
}
