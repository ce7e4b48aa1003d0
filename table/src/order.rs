//! The order of plans: a receiver never goes back to an older one.

/// When a plan was made: first the controller's term, raised and made durable once per start, then
/// its number within the term, which lives in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Order {
    /// The controller's term.
    pub term: u64,
    /// The plan's number within the term.
    pub seq: u64,
}

impl core::fmt::Display for Order {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "({}, {})", self.term, self.seq)
    }
}

/// What a receiver does with a plan that it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It replaces what the receiver holds.
    Newer,
    /// It is the one that the receiver holds: the view behind it was confirmed, its bytes are the same.
    Same,
}

/// An older plan came after a newer one: from a controller that was replaced and does not know it, or
/// a delayed message. The sender must be told the order that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("plan {offered} is older than {held}, which is already held")]
pub struct OutOfOrder {
    /// What the receiver holds.
    pub held: Order,
    /// What was offered.
    pub offered: Order,
}

/// Whether a receiver that holds `held` takes a plan of order `offered`.
///
/// # Errors
/// [`OutOfOrder`] where the offer is older.
pub fn accept(held: Option<Order>, offered: Order) -> Result<Arrival, OutOfOrder> {
    match held {
        Some(held) if offered < held => Err(OutOfOrder { held, offered }),
        Some(held) if offered == held => Ok(Arrival::Same),
        _ => Ok(Arrival::Newer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_term_counts_before_the_number() {
        let order = |term, seq| Order { term, seq };
        assert_eq!(accept(None, order(0, 0)), Ok(Arrival::Newer));
        assert_eq!(accept(Some(order(3, 9)), order(4, 0)), Ok(Arrival::Newer));
        assert_eq!(accept(Some(order(3, 9)), order(3, 10)), Ok(Arrival::Newer));
        assert_eq!(accept(Some(order(3, 9)), order(3, 9)), Ok(Arrival::Same));
        let late = accept(Some(order(4, 0)), order(3, 99));
        assert_eq!(late, Err(OutOfOrder { held: order(4, 0), offered: order(3, 99) }));
    }
}
