//! Single placements, and why.

use std::sync::Arc;

use tarazu_layout::limits::STRIPES_MAX;
use tarazu_layout::{TargetId, hash};
use tarazu_proto::v1::placement_server::Placement;
use tarazu_proto::v1::{self, ExplainRequest, ExplainResponse, PlaceRequest, PlaceResponse};
use tarazu_table::{
    Ask, Choice, Cursor, Identity, Inherited, Published, Rank, Reader, Reason, STRIPE_SIZE_UNIT, Tier, choose,
};
use tonic::{Request, Response, Status};

use super::{invalid, job_name, site};
use crate::controller::sites::Sites;
use crate::controller::tables::Newest;
use crate::controller::views;

/// The service.
pub(crate) struct PlacementService {
    sites: Arc<Sites>,
}

impl PlacementService {
    pub(crate) fn new(sites: Arc<Sites>) -> Self {
        Self { sites }
    }
}

#[tonic::async_trait]
impl Placement for PlacementService {
    async fn place(&self, request: Request<PlaceRequest>) -> Result<Response<PlaceResponse>, Status> {
        let request = request.into_inner();
        let site = site(&self.sites, &request.file_system)?;
        let ask = ask(&request)?;
        let newest = site.shared.tables.newest();
        let order = newest.as_ref().map(Newest::order);
        let published = newest.as_ref().ok_or(Reason::NoTable).and_then(Newest::published);
        let reader =
            Reader { fs_name_hash: hash::bytes(site.name.as_bytes()), boot_hash: 0, now: self.sites.now() };
        let mut response = decide(published.as_ref().map_err(|reason| *reason), &reader, &request, &ask);
        response.order = order.map(|order| v1::Order { term: order.term, seq: order.seq });
        Ok(Response::new(response))
    }

    async fn explain(&self, request: Request<ExplainRequest>) -> Result<Response<ExplainResponse>, Status> {
        let request = request.into_inner();
        let site = site(&self.sites, &request.file_system)?;
        if request.ost_indices.len() > STRIPES_MAX {
            return Err(Status::invalid_argument(format!(
                "at most {STRIPES_MAX} targets are explained at once"
            )));
        }
        let name = request.name.as_ref().map(job_name).transpose().map_err(|error| invalid(&error))?;
        let Some(newest) = site.shared.tables.newest() else {
            return Ok(Response::new(ExplainResponse::default()));
        };
        let now = self.sites.now();
        Ok(Response::new(views::explain(&newest, &request.ost_indices, name.as_ref(), now)))
    }
}

fn ask(request: &PlaceRequest) -> Result<Ask, Status> {
    let name = request.name.as_ref().ok_or_else(|| Status::invalid_argument("name is missing"))?;
    if request.world == 0 || request.rank >= request.world {
        return Err(Status::invalid_argument("rank must be below world, which must be at least 1"));
    }
    let stripe_count =
        u16::try_from(request.stripe_count).ok().filter(|count| usize::from(*count) <= STRIPES_MAX);
    let stripe_count =
        stripe_count.ok_or_else(|| Status::invalid_argument("stripe_count must be 0 to 2000"))?;
    let size = request.stripe_size_bytes;
    if stripe_count > 0 && (size == 0 || !size.is_multiple_of(STRIPE_SIZE_UNIT)) {
        return Err(Status::invalid_argument("stripe_size_bytes must be a multiple of 65536 above 0"));
    }
    let keep = (stripe_count > 0).then_some(Inherited { stripe_count, stripe_size: size });
    Ok(Ask { name: job_name(name).map_err(|error| invalid(&error))?, pid: 0, keep })
}

fn decide(
    published: Result<&Published<'_>, Reason>,
    reader: &Reader,
    request: &PlaceRequest,
    ask: &Ask,
) -> PlaceResponse {
    let rank = Rank { rank: request.rank, world: request.world };
    let identity = Identity { rank: Some(rank), host_hash: 0, pid: 0, process_start: 0 };
    let cursor = Cursor::starting_at(identity, request.creates_so_far);
    let mut targets = vec![TargetId(0); STRIPES_MAX];
    let leave = |reason: Reason| PlaceResponse {
        order: None,
        ost_indices: Vec::new(),
        stripe_size_bytes: 0,
        reason: reason.as_str().to_owned(),
    };
    let steer = match choose(published, reader, &cursor, ask, &mut targets) {
        Choice::Leave(reason) => return leave(reason),
        Choice::Steer(steer) => steer,
    };
    let Ok(published) = published else { return leave(Reason::NoTable) };
    let index = |target: &TargetId| published.table.ost_index(*target).map_or(u32::MAX, |ost| ost.0);
    PlaceResponse {
        order: None,
        ost_indices: targets[..steer.stripes].iter().map(index).collect(),
        stripe_size_bytes: steer.stripe_size,
        reason: if steer.tier == Tier::Now { "now" } else { "steady" }.to_owned(),
    }
}
