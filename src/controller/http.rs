//! `/metrics`, `/healthz` and `/api/v1`: reading only, for scrapers, probes and scripts.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;

use super::json;
use super::metrics;
use super::services;
use super::sites::Sites;
use super::views;

/// All pages.
pub(crate) fn router(sites: Arc<Sites>) -> Router {
    Router::new()
        .route("/metrics", get(metrics_page))
        .route("/healthz", get(healthz))
        .route("/api/v1/status", get(status))
        .route("/api/v1/targets", get(targets))
        .route("/api/v1/explain", get(explain))
        .with_state(sites)
}

#[derive(Debug, Default, Deserialize)]
struct Of {
    /// The file system; empty for all of them, or the only one.
    #[serde(default)]
    fs: String,
}

async fn metrics_page(State(sites): State<Arc<Sites>>) -> Response {
    let (status, targets) = match everything(&sites).await {
        Ok(all) => all,
        Err(error) => return failed(&error),
    };
    let all = sites.all();
    let counters: Vec<(&str, &super::counters::Counters)> =
        all.iter().map(|site| (&*site.name, &site.shared.counters)).collect();
    let text = metrics::page(&status, &targets.targets, &counters);
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
        .into_response()
}

type Everything = (tarazu_proto::v1::StatusResponse, tarazu_proto::v1::ListTargetsResponse);

async fn everything(sites: &Sites) -> Result<Everything, tonic::Status> {
    Ok((services::status(sites).await?, services::targets(sites, "").await?))
}

/// 200 while every file system's task answers; what it says is for people.
async fn healthz(State(sites): State<Arc<Sites>>) -> Response {
    match services::status(&sites).await {
        Ok(status) => {
            let warned = status.warnings.iter().fold(String::new(), |text, line| text + line + "\n");
            format!("ok\n{warned}").into_response()
        }
        Err(error) => failed(&error),
    }
}

async fn status(State(sites): State<Arc<Sites>>) -> Response {
    match services::status(&sites).await {
        Ok(status) => axum::Json(json::status(&status)).into_response(),
        Err(error) => failed(&error),
    }
}

async fn targets(State(sites): State<Arc<Sites>>, Query(of): Query<Of>) -> Response {
    match services::targets(&sites, &of.fs).await {
        Ok(targets) => axum::Json(json::targets(&targets.targets)).into_response(),
        Err(error) => failed(&error),
    }
}

async fn explain(State(sites): State<Arc<Sites>>, Query(of): Query<Of>) -> Response {
    let site = match services::site(&sites, &of.fs) {
        Ok(site) => site,
        Err(error) => return failed(&error),
    };
    let newest = site.shared.tables.newest();
    let explained = newest.map(|newest| views::explain(&newest, &[], None, sites.now()));
    axum::Json(json::explain(&site.name, &explained.unwrap_or_default())).into_response()
}

fn failed(error: &tonic::Status) -> Response {
    let code = match error.code() {
        tonic::Code::NotFound => StatusCode::NOT_FOUND,
        tonic::Code::InvalidArgument => StatusCode::BAD_REQUEST,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    (code, format!("{}\n", error.message())).into_response()
}
