//! A few phones that edit and send while something is done to the server under them. Knows no fault.

use doorstep_core::ids::AreaCode;

use super::Figures;
use super::ground::{Ground, Marks, marking, resident};
use super::oracle::{self, Holding};
use crate::town::Phone;

const PHONES: usize = 3;
/// Edits of each phone in each round.
const EDITS: usize = 80;

/// See the module.
pub(super) struct Crew {
    phones: Vec<Phone>,
    marks: Marks,
    area: AreaCode,
}

impl Crew {
    pub(super) async fn gather(ground: &mut Ground) -> anyhow::Result<Self> {
        let mut phones = Vec::new();
        for _ in 0..PHONES {
            let collector = ground.collector.clone();
            let phone = ground.phone(&collector).await?;
            phone.device.sync_once().await?;
            phones.push(phone);
        }
        Ok(Self {
            phones,
            marks: Marks::new(),
            area: ground.area,
        })
    }

    /// Every phone edits and sends. No two rounds have one number.
    pub(super) fn work(&mut self, round: u64) -> anyhow::Result<()> {
        self.edit(round, EDITS)
    }

    /// The same with so many edits of each phone.
    pub(super) fn edit(&mut self, round: u64, edits: usize) -> anyhow::Result<()> {
        for (number, phone) in self.phones.iter_mut().enumerate() {
            let record = phone.device.create("resident", self.area, resident())?;
            for edit in 0..edits {
                let mark = format!("v{round}-{number}-{edit}");
                phone.device.update(record, &marking(&mark))?;
                self.marks.entry(record).or_default().push(mark);
            }
            phone.go_online();
        }
        Ok(())
    }

    /// How many items have no answer yet.
    pub(super) fn unanswered(&self) -> anyhow::Result<u64> {
        let mut unsent = 0;
        for phone in &self.phones {
            unsent += phone.unsent()?.0;
        }
        Ok(unsent)
    }

    /// Waits until everything is sent.
    pub(super) async fn settle(&mut self) -> anyhow::Result<()> {
        for phone in &self.phones {
            phone
                .until("everything sent", |phone| Ok(phone.unsent()?.0 == 0))
                .await?;
        }
        Ok(())
    }

    /// Ends, and looks for everything.
    pub(super) async fn end(
        mut self,
        ground: &mut Ground,
        figures: &mut Figures,
    ) -> anyhow::Result<()> {
        let mut holdings = Vec::new();
        for phone in &mut self.phones {
            phone.go_offline().await?;
            holdings.push(Holding::of(&phone.device, self.area).await?);
        }
        oracle::ask(ground, &self.marks, &holdings, figures).await
    }
}
