//! What a websocket over TCP never does by itself, and a proxy that replays or someone between may do: within one
//! connection a frame comes twice, or two neighbours change places, on their way up or down. Where the protocol can't go
//! on from there, an end hangs up, and everything comes again over a new wire. Knows no frame's content.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::world::World;

/// Which way frames go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From a phone to the server.
    Up,
    /// From the server to a phone.
    Down,
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stir {
    /// It comes twice, the copy right behind it.
    Double,
    /// It changes places with the one behind it.
    Swap,
}

impl Stir {
    /// How many frames it takes.
    fn frames(self) -> usize {
        match self {
            Self::Double => 1,
            Self::Swap => 2,
        }
    }

    fn said(self, way: Way) -> &'static str {
        match (self, way) {
            (Self::Double, Way::Up) => "doubled up",
            (Self::Double, Way::Down) => "doubled down",
            (Self::Swap, Way::Up) => "swapped up",
            (Self::Swap, Way::Down) => "swapped down",
        }
    }
}

impl World {
    /// A world of a seed whose wires double and swap frames. The chance of that is one of its own: until the first frame
    /// is stirred, the story is that of `World::new`.
    #[must_use]
    pub fn stirred(seed: u64) -> Self {
        let mut world = Self::new(seed);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(1);
        world.stirring = Some(rng);
        world
    }

    /// Stirs the frame at this place of a wire, from 0, the next that comes; whether there was anything to stir.
    pub fn stir(&mut self, line: u64, way: Way, at: usize, stir: Stir) -> bool {
        let Some(wire) = self.wires.get_mut(&line) else {
            return false;
        };
        let frames = match way {
            Way::Up => &mut wire.up,
            Way::Down => &mut wire.down,
        };
        if frames.len() < at + stir.frames() {
            return false;
        }
        match stir {
            Stir::Double => frames.insert(at + 1, frames[at].clone()),
            Stir::Swap if frames[at] == frames[at + 1] => return false,
            Stir::Swap => frames.swap(at, at + 1),
        }
        wire.stirred = true;
        let said = stir.said(way);
        self.count(said);
        self.note(|| format!("line {line}: frame {at} is {said}"));
        true
    }

    /// Now and then stirs some frame, in a world whose wires do so.
    pub(super) fn stir_by_chance(&mut self) {
        let Some(rng) = &mut self.stirring else {
            return;
        };
        let stir = match rng.random_range(0..1_000) {
            0..20 => Stir::Double,
            20..50 => Stir::Swap,
            _ => return,
        };
        let way = if rng.random() { Way::Up } else { Way::Down };
        let mut places = Vec::new();
        for (line, wire) in &self.wires {
            let frames = match way {
                Way::Up => &wire.up,
                Way::Down => &wire.down,
            };
            let last = (frames.len() + 1).saturating_sub(stir.frames());
            places.extend((0..last).map(|at| (*line, at)));
        }
        if !places.is_empty() {
            let (line, at) = places[rng.random_range(0..places.len())];
            self.stir(line, way, at, stir);
        }
    }
}
