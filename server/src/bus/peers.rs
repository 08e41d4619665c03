//! Which other nodes there are, and whether something of theirs was missed. Messages of a node are numbered without
//! gaps and it says something every second, so a lost one shows within that. Knows no NATS.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::types::Uuid;
use tokio::time::Instant;

/// A node that says nothing for so long is gone.
const SILENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Peer {
    number: u64,
    at: Instant,
}

/// What a number tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The first word of this node: it may have said more before, and knows nothing of us.
    New,
    /// The next.
    Next,
    /// Something before it was lost.
    AfterGap,
    /// It was heard before.
    Again,
}

#[derive(Debug, Default)]
pub(super) struct Peers(HashMap<Uuid, Peer>);

impl Peers {
    pub(super) fn hear(&mut self, node: Uuid, number: u64, now: Instant) -> Heard {
        let Some(peer) = self.0.get_mut(&node) else {
            self.0.insert(node, Peer { number, at: now });
            return Heard::New;
        };
        peer.at = now;
        let before = peer.number;
        peer.number = number.max(before);
        match number {
            _ if number <= before => Heard::Again,
            _ if number == before + 1 => Heard::Next,
            _ => Heard::AfterGap,
        }
    }

    /// Forgets the nodes that fell silent, and says which.
    pub(super) fn fell_silent(&mut self, now: Instant) -> Vec<Uuid> {
        let gone = self
            .0
            .extract_if(|_, peer| now.duration_since(peer.at) > SILENCE);
        gone.map(|(node, _)| node).collect()
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_repeats_and_silence_are_seen() {
        let mut peers = Peers::default();
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let start = Instant::now();
        assert_eq!(peers.hear(one, 5, start), Heard::New);
        assert_eq!(peers.hear(one, 6, start), Heard::Next);
        assert_eq!(peers.hear(one, 6, start), Heard::Again);
        assert_eq!(peers.hear(one, 9, start), Heard::AfterGap);
        assert_eq!(peers.hear(one, 10, start), Heard::Next);
        assert_eq!(peers.hear(two, 1, start + SILENCE), Heard::New);
        let later = start + SILENCE + Duration::from_secs(1);
        assert_eq!(peers.fell_silent(later), [one]);
        assert_eq!(peers.count(), 1);
        assert_eq!(peers.hear(one, 11, later), Heard::New, "and comes again");
    }
}
