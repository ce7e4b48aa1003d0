//! `tarazu`: the decision of a client, taken from the published table as the client library takes it.

use tarazu_layout::TargetId;
use tarazu_layout::limits::STRIPES_MAX;
use tarazu_table::{Ask, Choice, Inherited, choose};

use super::stripe_count;
use crate::policy::{Allocator, Chosen, Decision, Knows, Refusal, Request};
use crate::rng::Rng;

/// The client's half of tarazu. It keeps the inherited stripe count and size and chooses targets only:
/// placement, not striping.
#[derive(Clone, Debug)]
pub struct Ticket {
    buffer: Vec<TargetId>,
}

impl Default for Ticket {
    fn default() -> Self {
        Self { buffer: vec![TargetId(0); STRIPES_MAX] }
    }
}

impl Allocator for Ticket {
    fn place(&mut self, request: &Request<'_>, knows: &Knows<'_>, _rng: &mut Rng) -> Decision {
        let component = &request.inherited.components[request.component];
        let ask = Ask {
            name: request.name,
            pid: request.pid,
            keep: Some(Inherited {
                stripe_count: u16::try_from(stripe_count(request)).unwrap_or(u16::MAX),
                stripe_size: u32::try_from(component.stripe_size).unwrap_or(u32::MAX),
            }),
        };
        match choose(knows.published, &knows.reader, knows.cursor, &ask, &mut self.buffer) {
            Choice::Leave(reason) => Decision::Leave(Refusal::Client(reason)),
            Choice::Steer(steer) => Decision::Place {
                targets: self.buffer[..steer.stripes].to_vec(),
                reason: Chosen::Ticket(steer.tier),
            },
        }
    }
}
