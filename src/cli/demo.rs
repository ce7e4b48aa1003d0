//! `tarazu demo`: the control plane at work on this machine, shown as it goes and summed up at the end.

mod text;

pub(crate) use text::verdict;

use std::cell::RefCell;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use tarazu_layout::Bytes;

use super::output::{Output, note};
use super::{services, whole_file};
use crate::demo::{self, Addresses, DemoError, Live, Pace, Report, Settings, Show, Stop};
use crate::html;

/// Exit code of a program that a signal ended: 128 and the number of SIGINT.
const EXIT_INTERRUPTED: u8 = 130;

/// Options of `tarazu demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// A short form that shows that everything works; too short for what the controller has to learn
    #[arg(long)]
    quick: bool,
    /// Chooses the target that is busy or sick, and where the allocator begins
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Leave the folder with files, logs and state where it is
    #[arg(long)]
    keep: bool,
    /// Keep the last control plane running until Ctrl-C, to look at it
    #[arg(long)]
    hold: bool,
    /// Also write the results as one HTML file that needs no network
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Form of the results
    #[arg(long, value_enum, default_value_t = Form::Text)]
    output: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// A table for people
    Text,
    /// Schema tarazu.demo/1
    Json,
}

pub(crate) fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let is_disabled = std::env::var_os("TARAZU_DISABLE").is_some_and(|value| value == "1");
    ensure!(!is_disabled, "TARAZU_DISABLE=1 switches the client library off; unset it for the demonstration");
    let stop = Arc::new(Stop::default());
    end_on_signals(Arc::clone(&stop))?;
    let settings = Settings {
        pace: if args.quick { Pace::QUICK } else { Pace::WHOLE },
        seed: args.seed,
        keeps: args.keep,
        holds: args.hold,
    };
    let screen = Screen::new(args);
    let outcome = demo::all(&settings, &stop, &screen);
    screen.bar.finish_and_clear();
    match outcome {
        // What was held has been shown already.
        Ok(_) if args.hold => Ok(ExitCode::SUCCESS),
        Ok(report) => {
            screen.results(&report)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(DemoError::Stopped) => {
            note("stopped; processes and folder of the demonstration are gone");
            Ok(ExitCode::from(EXIT_INTERRUPTED))
        }
        Err(_) if stop.is_set() => Ok(ExitCode::from(EXIT_INTERRUPTED)),
        Err(error) => Err(error.into()),
    }
}

/// Sets the end where somebody asks for it. Children are of the main thread, so another one listens.
fn end_on_signals(stop: Arc<Stop>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let signal = services::signal(&runtime)?;
    let listens = std::thread::Builder::new().name("signals".into());
    let listens = listens.spawn(move || {
        runtime.block_on(signal);
        stop.set();
    });
    listens.context("cannot start a thread").map(|_| ())
}

/// Shows how things stand: a line that changes on a terminal, else a line for each phase.
struct Screen<'a> {
    args: &'a DemoArgs,
    bar: ProgressBar,
    is_terminal: bool,
    /// Run and phase of the last line.
    shown: RefCell<(usize, &'static str)>,
}

impl<'a> Screen<'a> {
    fn new(args: &'a DemoArgs) -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            bar.set_style(style);
        }
        Self { args, bar, is_terminal: std::io::stderr().is_terminal(), shown: RefCell::new((0, "")) }
    }

    fn results(&self, report: &Report) -> anyhow::Result<()> {
        if let Some(path) = &self.args.html {
            let page = html::demo::page(report);
            whole_file::replace(path, page.as_bytes())
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        match self.args.output {
            Form::Text => Output::print(&text::show(report, self.args.quick)),
            Form::Json => {
                let text = serde_json::to_string_pretty(report).context("the results are no JSON")?;
                Output::print(&format!("{text}\n"))
            }
        }?;
        if self.args.keep {
            note(format_args!("files, logs and state are in {}", report.folder.display()));
        }
        Ok(())
    }
}

impl Show for Screen<'_> {
    fn live(&self, live: &Live) {
        let run = format!(
            "run {} of {}: {} target, {}",
            live.number,
            live.runs,
            match live.situation {
                demo::Situation::Well => "no odd",
                demo::Situation::Busy => "one busy",
                demo::Situation::Sick => "one sick",
            },
            live.chooser.as_str()
        );
        if self.is_terminal {
            let plan = live.plan.map_or_else(|| "none".into(), |(term, seq)| format!("({term}, {seq})"));
            self.bar.set_message(format!(
                "{run}: {}, {:.0} s, {} of {} files, {}, plan {plan}, {} targets excluded",
                live.phase,
                live.seconds,
                live.files,
                live.files_all,
                Bytes(live.moved_bytes),
                live.targets_excluded
            ));
            self.bar.tick();
            return;
        }
        let now = (live.number, live.phase);
        if self.shown.replace(now) != now {
            note(format_args!("{run}: {}", live.phase));
        }
    }

    fn held(&self, report: &Report, addresses: Addresses) -> Result<(), DemoError> {
        self.bar.finish_and_clear();
        if let Err(error) = self.results(report) {
            note(format_args!("{error:#}"));
        }
        note(format_args!(
            "the last control plane stays until Ctrl-C; look at it with\n  tarazu status --controller {}\n  curl http://{}/api/v1/targets",
            addresses.grpc, addresses.http
        ));
        Ok(())
    }
}
