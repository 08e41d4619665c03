//! How a device is read whose items come to nothing: one envelope at a time, with a pause after each, so that who lies
//! as fast as it can leaves the processors to those beside it. An honest phone whose owner was moved to another area
//! loses a quarter of a second by it. Knows no frame and no quota.

use std::time::Duration;

use tokio::time::Instant;

/// The pause for each item of an envelope that was refused, or that waits for what never came.
const FOR_EACH: Duration = Duration::from_millis(1);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Doubt(Option<Instant>);

impl Doubt {
    /// An envelope was answered, and so many of its items came to nothing.
    pub(super) fn note(&mut self, items: usize) {
        let items = u32::try_from(items).unwrap_or(u32::MAX);
        self.0 = (items > 0).then(|| Instant::now() + FOR_EACH.saturating_mul(items));
    }

    /// Whether the next frame is read now, while so many envelopes are not answered yet.
    pub(super) fn reads(&self, unanswered: usize) -> bool {
        self.0
            .is_none_or(|until| unanswered == 0 && Instant::now() >= until)
    }

    /// When the pause is over, while there is one.
    pub(super) fn until(&self) -> Option<Instant> {
        self.0.filter(|until| *until > Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_lies_one_envelope_is_read_at_a_time_until_one_is_sound() {
        let mut doubt = Doubt::default();
        assert!(doubt.reads(3) && doubt.until().is_none());
        doubt.note(100);
        assert!(!doubt.reads(0));
        let pause = doubt.until().map(|until| until - Instant::now());
        assert_eq!(pause, Some(Duration::from_millis(100)));
        tokio::time::advance(Duration::from_millis(100)).await;
        assert!(doubt.until().is_none());
        assert!(doubt.reads(0) && !doubt.reads(1));
        doubt.note(0);
        assert!(doubt.reads(3));
    }
}
