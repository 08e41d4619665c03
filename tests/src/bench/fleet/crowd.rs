//! The phones: as many as are asked for, told what to do together.

use std::sync::Arc;
use std::time::Duration;

use doorstep_server::testing::Member;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::phone::{Order, Phone};
use super::tally::Fleet;

/// How long phones may take to come online.
const PATIENCE: Duration = Duration::from_secs(900);

/// See the module.
pub(super) struct Crowd {
    pub(super) fleet: Arc<Fleet>,
    first: usize,
    orders: watch::Sender<Order>,
    phones: JoinSet<Phone>,
}

impl Crowd {
    pub(super) fn new(fleet: Arc<Fleet>) -> Self {
        Self::numbered_from(fleet, 0)
    }

    /// The same, whose first phone has this number.
    pub(super) fn numbered_from(fleet: Arc<Fleet>, first: usize) -> Self {
        let orders = watch::Sender::new(Order::Hold);
        Self {
            fleet,
            first,
            orders,
            phones: JoinSet::new(),
        }
    }

    /// How many phones there are.
    pub(super) fn count(&self) -> usize {
        self.phones.len()
    }

    /// Adds phones and waits until all are online; those at the places that `writes` names have a record to edit.
    pub(super) async fn add(
        &mut self,
        members: &[Member],
        writes: impl Fn(usize) -> bool,
    ) -> anyhow::Result<()> {
        for member in members {
            let number = self.first + self.phones.len();
            let mut phone = Phone::new(member, number)?;
            if writes(number) {
                phone.make_record()?;
            }
            let (fleet, orders) = (self.fleet.clone(), self.orders.subscribe());
            self.phones.spawn(phone.live(fleet, orders));
        }
        self.all_online().await
    }

    /// Waits until every phone is online.
    pub(super) async fn all_online(&self) -> anyhow::Result<()> {
        let tally = &self.fleet.tally;
        tally.until_online(self.count(), PATIENCE).await
    }

    /// Tells all what to do.
    pub(super) fn order(&self, order: Order) {
        self.orders.send_replace(order);
    }

    /// Lets all finish what is under way, and gives those that wrote.
    ///
    /// # Errors
    /// When anything that they wrote was refused.
    pub(super) async fn end(mut self) -> anyhow::Result<Vec<Phone>> {
        self.order(Order::End);
        let mut writers = Vec::new();
        while let Some(phone) = self.phones.join_next().await {
            writers.extend(phone.ok().filter(|phone| phone.made.is_some()));
        }
        self.fleet.tally.none_refused()?;
        Ok(writers)
    }
}
