//! Random steps: people work, wires carry and cut, phones and the server stop, grants change, supervisors decide.
//! One generator of chance decides all of it but the stirring of frames (`stir`). Knows what can happen, not what must
//! hold.

use doorstep_core::accept::ConflictKind;
use doorstep_core::ids::{AreaCode, ScopeId};
use doorstep_core::rights::Role;
use rand::{Rng, RngExt};

use super::checks;
use super::disk::Fuse;
use super::server::Grants;
use super::work;
use super::world::{World, collects, street, village};

const YEAR: i64 = 365 * 86_400_000;

impl World {
    /// One random step.
    ///
    /// # Errors
    /// When something is wrong.
    pub fn step(&mut self) -> anyhow::Result<()> {
        self.step_among(|_| true)
    }

    /// One random step that neither decides anything nor takes anything away from a phone.
    ///
    /// # Errors
    /// When something is wrong.
    pub fn harmless_step(&mut self) -> anyhow::Result<()> {
        self.step_among(|what| !(945..965).contains(&what) && what < 992)
    }

    fn step_among(&mut self, wanted: impl Fn(u32) -> bool) -> anyhow::Result<()> {
        self.stir_by_chance();
        self.now = self.now.plus_ms(self.rng.random_range(0..5_000));
        let number = self.rng.random_range(0..self.phones.len());
        let line = self.some_line();
        let mut what = self.rng.random_range(0..1_000);
        while !wanted(what) {
            what = self.rng.random_range(0..1_000);
        }
        match what {
            0..300 => self.some_work(number)?,
            300..420 => self.connect(number)?,
            420..600 => self.some_frames(line, Self::carry_up)?,
            600..780 => self.some_frames(line, Self::carry_down)?,
            780..870 => {
                let limit = self.rng.random_range(1..8);
                if let Some(line) = line {
                    self.feed(line, limit)?;
                }
            }
            870..930 => {
                self.push(number)?;
            }
            930..945 => {
                self.fetch(number)?;
            }
            945..965 => self.some_decision(),
            965..975 => {
                let lose = self.rng.random();
                self.cut(number, lose);
            }
            975..979 => {
                if let Some(line) = line {
                    self.cut_at_server(line);
                }
            }
            979..986 => {
                let fuse = Fuse {
                    commits: self.rng.random_range(0..3),
                    kept: self.rng.random(),
                };
                self.phones[number].disk.fuse = Some(fuse);
            }
            986..987 => {
                // The frame that was being judged is lost with everything that was not committed.
                if let Some(wire) = line.and_then(|line| self.wires.get_mut(&line)) {
                    wire.up.pop_front();
                }
                self.crash_server();
            }
            987..988 => {
                // The frame was committed, and nobody hears of it.
                if let Some(line) = line {
                    self.carry_up(line)?;
                    if let Some(wire) = self.wires.get_mut(&line) {
                        wire.down.clear();
                    }
                }
                self.crash_server();
            }
            988..992 => {
                let village = village(self.rng.random_range(1..=3));
                let per_frame = self.rng.random_range(1..10);
                self.server.make_bundle(ScopeId::Area(village), per_frame);
            }
            992..997 => {
                let grants = self.some_grants();
                self.regrant(number, grants);
            }
            997..999 => self.lose_records(number)?,
            _ if self.rng.random_ratio(1, 4) => self.lose_phone(number),
            _ => {}
        }
        Ok(())
    }

    /// Carries one frame of a wire, or a few.
    fn some_frames(
        &mut self,
        line: Option<u64>,
        carry: fn(&mut Self, u64) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        if let Some(line) = line {
            for _ in 0..self.rng.random_range(1..6) {
                carry(self, line)?;
            }
        }
        Ok(())
    }

    fn some_line(&mut self) -> Option<u64> {
        let lines: Vec<u64> = self.wires.keys().copied().collect();
        let pick = self.rng.next_u64() as usize;
        (!lines.is_empty()).then(|| lines[pick % lines.len()])
    }

    /// Grants as people have them: a village or two, the whole street, or for a while none.
    pub fn some_grants(&mut self) -> Grants {
        let first = self.rng.random_range(1..=3);
        match self.rng.random_range(0..8) {
            0..4 => collects(&[first]),
            4 => collects(&[first, first % 3 + 1]),
            5 | 6 => vec![(Role::Supervisor, street())],
            _ => Vec::new(),
        }
    }

    /// Something that the person of a phone may do, if there is anything.
    ///
    /// # Errors
    /// When core finds it wrong.
    pub fn some_work(&mut self, number: usize) -> anyhow::Result<()> {
        if self.phones[number].wiped {
            return Ok(());
        }
        let scopes = self.phones[number].scopes()?;
        let areas: Vec<AreaCode> = scopes
            .iter()
            .filter_map(|scope| match scope {
                ScopeId::Area(area) => Some(*area),
                _ => None,
            })
            .collect();
        let job = work::job(
            &mut self.rng,
            &self.phones[number],
            &areas,
            &self.commons,
            self.now,
        )?;
        if let Some(job) = job {
            self.work(number, job)?;
        }
        Ok(())
    }

    fn some_decision(&mut self) {
        let conflicts = self.server.register.conflicts.iter().enumerate();
        let open: Vec<usize> = conflicts
            .filter(|(_, item)| item.open && item.kind == ConflictKind::Field)
            .map(|(at, _)| at)
            .collect();
        if !open.is_empty() {
            let pick = self.rng.random_range(0..open.len());
            self.decide(open[pick]);
        }
    }

    /// What the villages' register held before: a few people and houses that everyone then works on.
    pub fn import(&mut self) {
        for number in 1..=3 {
            for _ in 0..2 {
                let (id, record_type, fields) =
                    work::imported(&mut self.rng, village(number), self.now);
                self.server.put(id, record_type, &fields, self.now);
                self.commons.push(id);
            }
        }
    }

    /// Random phones, random steps, then rest and every check.
    ///
    /// # Errors
    /// When something is wrong.
    pub fn live(&mut self, phones: usize, steps: usize) -> anyhow::Result<()> {
        self.import();
        for _ in 0..phones {
            let grants = self.some_grants();
            let skew = self.rng.random_range(-10 * YEAR..10 * YEAR);
            let number = self.add_phone(grants, skew);
            self.sync(number)?; // everyone has been online once, and knows the areas
        }
        for _ in 0..steps {
            self.step()?;
        }
        self.rest()?;
        checks::all(self)
    }
}
