//! `tarazu config`: the controller's settings as they would hold, with where each comes from, and whether a file is sound.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use serde::Serialize;

use super::output::{Output, note};
use crate::config::{Config, SettingArgs, Surroundings, resolve};

/// Schema of the settings in JSON.
const SCHEMA: &str = "tarazu.config/1";

#[derive(Debug, clap::Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    tool: ConfigTool,
}

#[derive(Debug, Subcommand)]
enum ConfigTool {
    /// Print the settings that a controller would have here
    Show(Box<ShowArgs>),
    /// Say whether a settings file is sound, whatever the environment says; exit code 1 if it is not
    Check(CheckArgs),
}

#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// Say where each value comes from
    #[arg(long)]
    origin: bool,
    /// Check only: print nothing where all is well
    #[arg(long)]
    check: bool,
    /// Lines to read, which are a settings file, or the schema tarazu.config/1
    #[arg(long, value_enum, default_value_t = Form::Text)]
    output: Form,
    #[command(flatten)]
    settings: SettingArgs,
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// The settings file
    file: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    Text,
    Json,
}

pub(crate) fn run(args: &ConfigArgs) -> anyhow::Result<ExitCode> {
    match &args.tool {
        ConfigTool::Show(args) => {
            let config = resolve(&args.settings, &Surroundings::here())?;
            if !args.check {
                Output::print(&match args.output {
                    Form::Text => text(&config, args.origin),
                    Form::Json => json(&config)?,
                })?;
            }
        }
        ConfigTool::Check(args) => {
            let settings = SettingArgs::of_file(args.file.clone());
            // The answer is about the file, so nothing else may speak.
            resolve(&settings, &Surroundings::default())?;
            note(format_args!("{} is sound", args.file.display()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Settings as lines of a file; those without a value are comments.
fn text(config: &Config, with_origin: bool) -> String {
    let settings = config.settings();
    let lines: Vec<String> = settings.iter().map(crate::config::Setting::line).collect();
    let width = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for (line, setting) in lines.iter().zip(settings) {
        // Writing to a string cannot fail.
        let _ = if with_origin {
            writeln!(text, "{line:width$}  # {}", setting.origin)
        } else {
            writeln!(text, "{line}")
        };
    }
    text
}

#[derive(Serialize)]
struct Page<'a> {
    schema: &'static str,
    settings: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    key: &'a str,
    value: &'a str,
    origin: String,
}

fn json(config: &Config) -> anyhow::Result<String> {
    let rows = config.settings().iter().map(|setting| Row {
        key: &setting.key,
        value: &setting.value,
        origin: setting.origin.to_string(),
    });
    let page = Page { schema: SCHEMA, settings: rows.collect() };
    Ok(serde_json::to_string_pretty(&page)? + "\n")
}
