//! `tarazu policy`: what is wanted of a controller.

use std::process::ExitCode;

use clap::Subcommand;
use tarazu_proto::v1::{GetPolicyRequest, Policy, SetPolicyRequest, policy};

use super::connect::{ControllerAddress, ask};
use crate::cli::output::{Output, note};
use crate::controller::json;

#[derive(Debug, clap::Args)]
pub(crate) struct PolicyArgs {
    #[command(subcommand)]
    tool: PolicyTool,
}

#[derive(Debug, Subcommand)]
enum PolicyTool {
    /// Print what holds
    Show(ShowArgs),
    /// Want something else; what is not named stays
    Set(SetArgs),
}

#[derive(Debug, clap::Args)]
struct ShowArgs {
    #[command(flatten)]
    controller: ControllerAddress,
    /// The file system, where the controller has several
    #[arg(long = "file-system", value_name = "NAME", default_value = "")]
    file_system: String,
}

#[derive(Debug, clap::Args)]
struct SetArgs {
    #[command(flatten)]
    controller: ControllerAddress,
    /// The file system, where the controller has several
    #[arg(long = "file-system", value_name = "NAME", default_value = "")]
    file_system: String,
    /// observe: plans only; apply: files are steered where that is worth it
    #[arg(long, value_enum)]
    mode: Option<Mode>,
    /// Whether agents write canaries to targets
    #[arg(long)]
    canary: Option<bool>,
    /// Whether slow targets are found and left out
    #[arg(long)]
    detect: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Mode {
    Observe,
    Apply,
}

pub(crate) fn run(args: &PolicyArgs) -> anyhow::Result<ExitCode> {
    match &args.tool {
        PolicyTool::Show(args) => {
            let question = async {
                let mut admin = args.controller.admin().await?;
                let request = GetPolicyRequest { file_system: args.file_system.clone() };
                Ok(admin.get_policy(request).await?.into_inner().policy.unwrap_or_default())
            };
            match ask(question)? {
                Ok(policy) => Output::print(&text(&policy))?,
                Err(code) => return Ok(code),
            }
        }
        PolicyTool::Set(args) => return set(args),
    }
    Ok(ExitCode::SUCCESS)
}

fn set(args: &SetArgs) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        args.mode.is_some() || args.canary.is_some() || args.detect.is_some(),
        "say what is wanted: --mode, --canary or --detect"
    );
    let question = async {
        let mut admin = args.controller.admin().await?;
        let file_system = args.file_system.clone();
        let request = GetPolicyRequest { file_system: file_system.clone() };
        let mut policy = admin.get_policy(request).await?.into_inner().policy.unwrap_or_default();
        if let Some(mode) = args.mode {
            policy.set_mode(if mode == Mode::Apply { policy::Mode::Apply } else { policy::Mode::Observe });
        }
        policy.canary = args.canary.unwrap_or(policy.canary);
        policy.detect = args.detect.unwrap_or(policy.detect);
        admin.set_policy(SetPolicyRequest { file_system, policy: Some(policy) }).await?;
        Ok(policy)
    };
    match ask(question)? {
        Ok(policy) => note(format_args!("durable: {}", text(&policy).trim_end().replace('\n', ", "))),
        Err(code) => return Ok(code),
    }
    Ok(ExitCode::SUCCESS)
}

fn text(policy: &Policy) -> String {
    format!("mode {}\ncanary {}\ndetect {}\n", json::mode(Some(policy)), policy.canary, policy.detect)
}
