//! tarazu's own allocators: the ticket that real clients take, and the central reference.

mod central;
mod ticket;

pub use central::Central;
pub use ticket::Ticket;

use crate::policy::Request;

/// Stripes of the component to be placed, as the inherited layout wants them.
fn stripe_count(request: &Request<'_>) -> u32 {
    request.inherited.components[request.component].stripe_count
}
