//! Layers, origins, mistakes with their line, and the file that is shipped.

use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

use super::layers::{Surroundings, resolve_text};
use super::{Config, ConfigErrors, Mode, Origin, SettingArgs, resolve};

const FILE: &str = "settings.toml";

fn with(file: &str, variables: &[(&str, &str)], flags: &[&str]) -> Result<Config, ConfigErrors> {
    #[derive(clap::Parser)]
    struct Tool {
        #[command(flatten)]
        args: SettingArgs,
    }
    let line = std::iter::once("tool").chain(flags.iter().copied());
    let args = <Tool as clap::Parser>::try_parse_from(line).unwrap().args;
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let surroundings = Surroundings { variables: variables.collect(), is_root: true };
    resolve_text(Some((Path::new(FILE), file)), &args, &surroundings)
}

fn origin(config: &Config, key: &str) -> String {
    let setting = config.settings().iter().find(|setting| setting.key == key);
    setting.unwrap_or_else(|| panic!("{key} is no setting")).origin.to_string()
}

fn mistakes(file: &str, variables: &[(&str, &str)], flags: &[&str]) -> Vec<String> {
    let errors = with(file, variables, flags).expect_err("there is a mistake");
    errors.0.iter().map(ToString::to_string).collect()
}

#[test]
fn the_strongest_layer_wins_and_is_remembered() {
    let config = with("", &[], &[]).unwrap();
    assert_eq!((config.interval, origin(&config, "interval").as_str()), (Duration::from_secs(5), "built-in"));
    let file = "# first\ninterval = \"6s\"\n";
    let config = with(file, &[], &[]).unwrap();
    assert_eq!(config.interval, Duration::from_secs(6));
    assert_eq!(origin(&config, "interval"), "settings.toml:2");
    let variables = [("TARAZU_CONTROLLER_INTERVAL", "7s"), ("TARAZU_CONTROLLER_LOG", "")];
    let config = with(file, &variables, &[]).unwrap();
    assert_eq!(config.interval, Duration::from_secs(7));
    assert_eq!(origin(&config, "interval"), "environment variable TARAZU_CONTROLLER_INTERVAL");
    assert_eq!(origin(&config, "log"), "built-in", "an empty variable is not set");
    let config = with(file, &variables, &["--interval", "8s", "--canary", "--detect=false"]).unwrap();
    assert_eq!((config.interval, config.canary, config.detect), (Duration::from_secs(8), true, false));
    assert_eq!(origin(&config, "interval"), "flag --interval");
}

#[test]
fn every_setting_has_all_its_ways_in() {
    let values = [
        ("listen", "127.0.0.1:1"),
        ("http_listen", "[::1]:2"),
        ("allow_unauthenticated", "true"),
        ("state_dir", "/s"),
        ("interval", "1m"),
        ("layout_cost", "2ms"),
        ("layout_service", "0s"),
        ("mode", "observe"),
        ("canary", "true"),
        ("detect", "false"),
        ("seed", "42"),
        ("record", "/r"),
        ("log", "debug"),
    ];
    let default = with("", &[], &[]).unwrap();
    let keys: Vec<&str> = default.settings().iter().map(|setting| setting.key.as_str()).collect();
    for (key, value) in values {
        assert!(keys.contains(&key), "{key}");
        let is_bare = value.parse::<u64>().is_ok() || value == "true" || value == "false";
        let file = if is_bare { format!("{key} = {value}") } else { format!("{key} = \"{value}\"") };
        let variable = format!("TARAZU_CONTROLLER_{}", key.to_ascii_uppercase());
        let flag = format!("--{}={value}", key.replace('_', "-"));
        let ways = [with(&file, &[], &[]), with("", &[(&variable, value)], &[]), with("", &[], &[&flag])];
        let ways = ways.map(|way| way.unwrap_or_else(|error| panic!("{key}: {error}")));
        for way in &ways {
            let of_this = way.settings().iter().find(|setting| setting.key == key).unwrap();
            assert_eq!(of_this.value, value);
            assert_ne!(of_this.origin, Origin::BuiltIn, "{key}");
            assert_ne!(
                Config { settings: Vec::new(), ..way.clone() },
                Config { settings: Vec::new(), ..default.clone() }
            );
        }
    }
    assert_eq!(values.len(), keys.len(), "a setting without a test");
    let seed = with("", &[], &["--seed", &u64::MAX.to_string()]).unwrap().seed;
    assert_eq!(seed, Some(u64::MAX));
}

#[test]
fn the_state_directory_is_where_it_belongs() {
    let of = |variables: &[(&str, &str)], is_root| {
        let variables =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let surroundings = Surroundings { variables, is_root };
        resolve(&SettingArgs::default(), &surroundings).unwrap().state_dir
    };
    let home = ("HOME", "/home/u");
    assert_eq!(of(&[home, ("STATE_DIRECTORY", "/var/lib/a:/var/lib/b")], true), Path::new("/var/lib/a"));
    assert_eq!(of(&[home, ("XDG_STATE_HOME", "/x")], true), Path::new("/var/lib/tarazu"));
    assert_eq!(of(&[home, ("XDG_STATE_HOME", "/x")], false), Path::new("/x/tarazu"));
    assert_eq!(of(&[home], false), Path::new("/home/u/.local/state/tarazu"));
    assert_eq!(of(&[home, ("TARAZU_CONTROLLER_STATE_DIR", "/t")], false), Path::new("/t"));
}

#[test]
fn mistakes_are_told_with_file_line_and_remedy() {
    let cases: [(&str, &[&str]); 12] = [
        ("\nintervall = \"5s\"", &["settings.toml:2: ", "no setting intervall", "did you mean interval?"]),
        ("interval = 5", &["settings.toml:1: interval = 5: ", "string in quotes"]),
        ("interval = \"1h\"", &["interval = 1h", "100ms to 5m"]),
        ("\n\nlog = [\n  1]", &["settings.toml:3: log = [", "string in quotes"]),
        ("canary = \"yes\"", &["true or false"]),
        ("seed = -1", &["settings.toml:1: seed = -1", "whole number"]),
        ("listen = \"localhost:7480\"", &["numeric address"]),
        ("mode = \"off\"", &["observe or apply"]),
        ("log = \"tarazu=loud\"", &["no filter"]),
        (
            "[file_system.a]\nservers = 3",
            &["settings.toml:2: ", "file_system.a.servers", "only servers_expected"],
        ),
        ("[file_system.a]\nservers_expected = 0", &["settings.toml:2: ", "1 to 8192"]),
        ("file_system = 3", &["[file_system.NAME]"]),
    ];
    for (file, parts) in cases {
        let mistakes = mistakes(file, &[], &[]);
        assert_eq!(mistakes.len(), 1, "{file}: {mistakes:?}");
        for part in parts {
            assert!(mistakes[0].contains(part), "{file}: {part} is not in: {}", mistakes[0]);
        }
    }
    let syntax = mistakes("a = 1\nb = = 2\n", &[], &[]);
    assert!(syntax.len() == 1 && syntax[0].starts_with("settings.toml:2: "), "{syntax:?}");
    let twice = mistakes("log = \"info\"\nlog = \"warn\"\n", &[], &[]);
    assert!(twice[0].contains("settings.toml:2: "), "{twice:?}");
}

#[test]
fn all_mistakes_are_told_at_once() {
    let file = "interval = \"0s\"\ncolour = 1\n[file_system]\nscratch = 3\n";
    let mistakes = mistakes(file, &[("TARAZU_CONTROLLER_SEED", "x")], &["--mode", "off"]);
    assert_eq!(mistakes.len(), 5, "{mistakes:?}");
    for part in
        ["settings.toml:1", "settings.toml:2", "settings.toml:4", "TARAZU_CONTROLLER_SEED", "flag --mode"]
    {
        assert!(mistakes.iter().any(|mistake| mistake.starts_with(part) || mistake.contains(part)), "{part}");
    }
}

#[test]
fn an_open_address_must_be_meant() {
    for address in ["0.0.0.0:7480", "[::]:7480", "10.0.0.1:7480", "[::ffff:10.0.0.1]:7480"] {
        let mistakes = mistakes("", &[], &["--listen", address]);
        assert!(mistakes.len() == 1 && mistakes[0].contains("allow_unauthenticated"), "{mistakes:?}");
        assert!(with("allow_unauthenticated = true", &[], &["--listen", address]).is_ok());
    }
    for address in ["127.0.0.2:7480", "[::1]:7480", "[::ffff:127.0.0.1]:7480", "127.0.0.1:0"] {
        assert!(with("", &[], &["--http-listen", address]).is_ok(), "{address}");
    }
    let same = mistakes("", &[], &["--http-listen", "127.0.0.1:7480"]);
    assert!(same[0].contains("a port of its own"), "{same:?}");
    assert!(with("", &[], &["--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"]).is_ok());
}

#[test]
fn files_that_are_none_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let of = |path: PathBuf| {
        let args = SettingArgs::of_file(path);
        resolve(&args, &Surroundings::default()).unwrap_err().to_string()
    };
    assert!(of(folder.path().to_owned()).contains("no regular file"));
    assert!(of(folder.path().join("missing")).contains("missing"));
    let large = folder.path().join("large");
    std::fs::write(&large, vec![b'#'; (1 << 20) + 1]).unwrap();
    assert!(of(large).contains("more than 1048576 bytes"));
    let binary = folder.path().join("binary");
    std::fs::write(&binary, [0xff, 0xfe, 0]).unwrap();
    assert!(of(binary).contains("binary"));
}

#[test]
fn the_shipped_file_says_what_is_built_in() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/tarazu.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let (shipped, default) = (with(&text, &[], &[]).unwrap(), with("", &[], &[]).unwrap());
    let without = |config: &Config| Config { settings: Vec::new(), ..config.clone() };
    assert_eq!(without(&shipped), without(&default));
    // What it has as comment can be used by taking the sign away; what it says is known.
    let opened: String = text
        .lines()
        .map(|line| {
            line.strip_prefix("# ")
                .filter(|line| line.contains(" = ") || line.starts_with('['))
                .unwrap_or(line)
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    let opened = with(&opened, &[], &[]).unwrap();
    assert_eq!(opened.servers_expected["scratch"], 40);
    let from_file = |key: &str| origin(&opened, key).starts_with(FILE);
    for setting in opened.settings() {
        assert!(from_file(&setting.key), "deploy/tarazu.toml does not have {}", setting.key);
    }
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/config.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    for setting in default.settings() {
        assert!(
            docs.contains(&format!("| `{}` |", setting.key)),
            "docs/config.md does not have {}",
            setting.key
        );
    }
}

#[test]
fn what_is_shown_can_be_used_as_a_file() {
    let file = "record = 'a \"b\\c'\nmode = \"observe\"\n[file_system.\"odd name\"]\nservers_expected = 3\n";
    let config = with(file, &[], &["--seed", "5"]).unwrap();
    let shown: Vec<String> = config.settings().iter().map(super::Setting::line).collect();
    let again = with(&shown.join("\n"), &[], &[]).unwrap();
    let without = |config: &Config| Config { settings: Vec::new(), ..config.clone() };
    assert_eq!(without(&again), without(&config));
    assert_eq!(again.mode, Mode::Observe);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}", key in "[a-z_]{1,12}") {
        for file in [text.clone(), format!("{key} = {text}"), format!("log = \"info\"\n[file_system.{text}]\n{key} = 1")] {
            if let Err(errors) = with(&file, &[], &[]) {
                prop_assert!(!errors.0.is_empty());
                for error in errors.0 {
                    prop_assert!(error.to_string().starts_with(FILE), "{}", error);
                }
            }
        }
    }
}
