//! What administrators ask and say.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use tarazu_layout::Time;
use tarazu_layout::limits::TARGETS_MAX;
use tarazu_proto::limits::WORD_MAX;
use tarazu_proto::v1::admin_server::Admin;
use tarazu_proto::v1::{
    DrainInfo, DrainRequest, GetConfigRequest, GetConfigResponse, GetPolicyRequest, GetPolicyResponse,
    IntentResponse, ListTargetsRequest, ListTargetsResponse, ResumeRequest, SetPolicyRequest, Setting,
    StatusRequest, StatusResponse,
};
use tarazu_proto::{drain_from, policy_from, policy_to, text};
use tarazu_table::FRESH_INTERVALS;
use tonic::{Request, Response, Status};

use super::{invalid, site, stopping};
use crate::controller::command::{Command, IntentRefused};
use crate::controller::sites::{Site, Sites};

/// The service.
pub(crate) struct AdminService {
    sites: Arc<Sites>,
}

impl AdminService {
    pub(crate) fn new(sites: Arc<Sites>) -> Self {
        Self { sites }
    }
}

/// How all file systems stand.
pub(crate) async fn status(sites: &Sites) -> Result<StatusResponse, Status> {
    let now = sites.now();
    let within = sites.interval() * FRESH_INTERVALS;
    let nodes = sites.nodes.lock().unwrap_or_else(PoisonError::into_inner).heard_within(within, now) as u32;
    let mut file_systems = Vec::new();
    let mut warnings = Vec::new();
    for site in sites.all() {
        let mut status = site.ask(Command::Status).await.map_err(stopping)?;
        status.nodes = nodes;
        file_systems.push(status);
        warnings.extend(site.shared.counters.warnings());
    }
    Ok(StatusResponse {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_s: now.since(sites.clock.started_at()).as_secs_f64(),
        file_systems,
        warnings,
    })
}

/// All targets of the file systems that are asked for.
pub(crate) async fn targets(sites: &Sites, name: &str) -> Result<ListTargetsResponse, Status> {
    if !name.is_empty() {
        site(sites, name)?;
    }
    let mut targets = Vec::new();
    for site in sites.named(name) {
        targets.append(&mut site.ask(Command::Targets).await.map_err(stopping)?);
    }
    targets
        .sort_by(|one, other| (&one.file_system, one.ost_index).cmp(&(&other.file_system, other.ost_index)));
    Ok(ListTargetsResponse { targets })
}

fn refused(error: &IntentRefused) -> Status {
    match error {
        IntentRefused::UnknownOst(_) => Status::not_found(error.to_string()),
        IntentRefused::Over => Status::invalid_argument(error.to_string()),
        IntentRefused::NotDurable(_) => Status::unavailable(error.to_string()),
        IntentRefused::NoTargets => Status::failed_precondition(error.to_string()),
    }
}

fn osts(indices: &[u32]) -> Result<Vec<u32>, Status> {
    if indices.is_empty() || indices.len() > TARGETS_MAX {
        return Err(Status::invalid_argument(format!("name 1 to {TARGETS_MAX} targets")));
    }
    Ok(indices.iter().copied().collect::<BTreeSet<u32>>().into_iter().collect())
}

async fn intend(
    site: &Site,
    question: impl FnOnce(tokio::sync::oneshot::Sender<Result<u64, IntentRefused>>) -> Command,
) -> Result<Response<IntentResponse>, Status> {
    let term = site.ask(question).await.map_err(stopping)?.map_err(|error| refused(&error))?;
    Ok(Response::new(IntentResponse { term }))
}

#[tonic::async_trait]
impl Admin for AdminService {
    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        Ok(Response::new(status(&self.sites).await?))
    }

    async fn list_targets(
        &self,
        request: Request<ListTargetsRequest>,
    ) -> Result<Response<ListTargetsResponse>, Status> {
        Ok(Response::new(targets(&self.sites, &request.into_inner().file_system).await?))
    }

    async fn drain(&self, request: Request<DrainRequest>) -> Result<Response<IntentResponse>, Status> {
        let DrainRequest { file_system, ost_indices, reason, until_unix_ns, by } = request.into_inner();
        let site = site(&self.sites, &file_system)?;
        let Time(since_unix_ns) = self.sites.now();
        let info = DrainInfo { reason, until_unix_ns, by, since_unix_ns };
        let drain = drain_from(&info).map_err(|error| invalid(&error))?;
        let osts = osts(&ost_indices)?;
        // Who, when, from where and why stays in the log as well.
        tracing::warn!(
            file_system = &*site.name,
            ?osts,
            by = drain.by,
            reason = drain.reason,
            "targets are drained"
        );
        intend(&site, |reply| Command::Drain { osts, drain: Some(drain), reply }).await
    }

    async fn resume(&self, request: Request<ResumeRequest>) -> Result<Response<IntentResponse>, Status> {
        let ResumeRequest { file_system, ost_indices, by } = request.into_inner();
        let site = site(&self.sites, &file_system)?;
        let by = text("the name of who says so", &by, WORD_MAX).map_err(|error| invalid(&error))?;
        let osts = osts(&ost_indices)?;
        tracing::warn!(file_system = &*site.name, ?osts, by, "targets are given back");
        intend(&site, |reply| Command::Drain { osts, drain: None, reply }).await
    }

    async fn get_policy(
        &self,
        request: Request<GetPolicyRequest>,
    ) -> Result<Response<GetPolicyResponse>, Status> {
        let site = site(&self.sites, &request.into_inner().file_system)?;
        let policy = site.ask(Command::Policy).await.map_err(stopping)?;
        Ok(Response::new(GetPolicyResponse { policy: Some(policy_to(policy)) }))
    }

    async fn set_policy(
        &self,
        request: Request<SetPolicyRequest>,
    ) -> Result<Response<IntentResponse>, Status> {
        let SetPolicyRequest { file_system, policy } = request.into_inner();
        let site = site(&self.sites, &file_system)?;
        let policy = policy.ok_or_else(|| Status::invalid_argument("the policy is missing"))?;
        let policy = policy_from(&policy).map_err(|error| invalid(&error))?;
        tracing::warn!(file_system = &*site.name, ?policy, "another policy is wanted");
        intend(&site, |reply| Command::SetPolicy { policy, reply }).await
    }

    async fn get_config(&self, _: Request<GetConfigRequest>) -> Result<Response<GetConfigResponse>, Status> {
        let setting = |setting: &crate::config::Setting| Setting {
            key: setting.key.clone(),
            value: setting.value.clone(),
            origin: setting.origin.to_string(),
        };
        let settings = self.sites.config.settings().iter().map(setting).collect();
        Ok(Response::new(GetConfigResponse { settings }))
    }
}
