//! Values as typed become values that can be used.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::keys::{FILE_SYSTEM, KEYS, SERVERS_EXPECTED};
use super::layers::{Layer, Typed};
use super::{Config, ConfigError, Mode, Setting};
use crate::store::{FILE_SYSTEMS_MAX, FS_NAME_BYTES_MAX, TARGETS_MAX};

/// Shortest interval: below it, samples say more about chance than about load.
const INTERVAL_MIN: Duration = Duration::from_millis(100);
/// Longest interval that the wire knows.
const INTERVAL_MAX: Duration = Duration::from_secs(300);
/// Longest cost of a layout: with more, nothing would ever be worth it.
const LAYOUT_COST_MAX: Duration = Duration::from_secs(10);

/// Every value by itself, then those that depend on each other. `None` where one cannot be used; `errors` says which.
pub(super) fn check(low: &Layer, errors: &mut Vec<ConfigError>) -> Option<Config> {
    let mut values = Values { low, errors };
    // All of them before the first `?`, so that everything wrong is told.
    let listen = values.get("listen", address);
    let http_listen = values.get("http_listen", address);
    let allow_unauthenticated = values.get("allow_unauthenticated", switch);
    let state_dir = values.get("state_dir", folder);
    let interval = values.get("interval", |text| duration(text, INTERVAL_MIN, INTERVAL_MAX));
    let layout_cost = values.get("layout_cost", |text| duration(text, Duration::ZERO, LAYOUT_COST_MAX));
    let layout_service = values.get("layout_service", |text| duration(text, Duration::ZERO, LAYOUT_COST_MAX));
    let mode = values.get("mode", mode);
    let canary = values.get("canary", switch);
    let detect = values.get("detect", switch);
    let seed = values.get("seed", |text| optional(text, whole));
    let record = values.get("record", |text| optional(text, folder));
    let log = values.get("log", log_filter);
    let servers_expected = values.servers_expected();
    if let (Some(listen), Some(http_listen), Some(allow)) = (listen, http_listen, allow_unauthenticated) {
        values.addresses(listen, http_listen, allow);
    }
    Some(Config {
        listen: listen?,
        http_listen: http_listen?,
        state_dir: state_dir?,
        interval: interval?,
        allow_unauthenticated: allow_unauthenticated?,
        layout_cost: layout_cost?,
        layout_service: layout_service?,
        record: record?,
        seed: seed?,
        mode: mode?,
        canary: canary?,
        detect: detect?,
        log: log?,
        servers_expected,
        settings: settings(low),
    })
}

/// All values as text, for people.
fn settings(low: &Layer) -> Vec<Setting> {
    let setting =
        |key: String, typed: &Typed| Setting { key, value: typed.text.clone(), origin: typed.origin.clone() };
    let of_keys = KEYS.iter().filter_map(|key| Some(setting(key.name.to_owned(), low.values.get(key.name)?)));
    let of_file_systems = low
        .servers_expected
        .iter()
        .map(|(name, typed)| setting(format!("{FILE_SYSTEM}.{name}.{SERVERS_EXPECTED}"), typed));
    of_keys.chain(of_file_systems).collect()
}

struct Values<'a> {
    low: &'a Layer,
    errors: &'a mut Vec<ConfigError>,
}

impl Values<'_> {
    fn get<T>(&mut self, key: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let typed = self.low.values.get(key)?;
        match parse(&typed.text) {
            Ok(value) => Some(value),
            Err(reason) => {
                self.wrong(key, typed, reason);
                None
            }
        }
    }

    fn wrong(&mut self, key: &str, typed: &Typed, reason: String) {
        self.errors.push(ConfigError::Value {
            origin: typed.origin.clone(),
            key: key.to_owned(),
            value: typed.text.clone(),
            reason,
        });
    }

    fn servers_expected(&mut self) -> BTreeMap<String, u32> {
        let low = self.low;
        let mut expected = BTreeMap::new();
        for (number, (name, typed)) in low.servers_expected.iter().enumerate() {
            let key = format!("{FILE_SYSTEM}.{name}.{SERVERS_EXPECTED}");
            let servers = whole(&typed.text).ok().and_then(|servers| u32::try_from(servers).ok());
            let servers = servers.filter(|servers| (1..=TARGETS_MAX as u32).contains(servers));
            if name.is_empty() || name.len() > FS_NAME_BYTES_MAX {
                self.wrong(&key, typed, format!("a name has 1 to {FS_NAME_BYTES_MAX} bytes"));
            } else if number >= FILE_SYSTEMS_MAX {
                self.wrong(
                    &key,
                    typed,
                    format!("one controller has at most {FILE_SYSTEMS_MAX} file systems"),
                );
            } else if let Some(servers) = servers {
                expected.insert(name.clone(), servers);
            } else {
                self.wrong(&key, typed, format!("must be 1 to {TARGETS_MAX}"));
            }
        }
        expected
    }

    fn addresses(&mut self, listen: SocketAddr, http_listen: SocketAddr, allow_unauthenticated: bool) {
        let low = self.low;
        for (key, address) in [("listen", listen), ("http_listen", http_listen)] {
            let Some(typed) = low.values.get(key) else { continue };
            if !address.ip().to_canonical().is_loopback() && !allow_unauthenticated {
                let reason = "others can reach this address, and whoever reaches it may drain targets: there is no \
                              authentication yet. Keep to 127.0.0.1 or [::1], or set allow_unauthenticated where the \
                              network is closed";
                self.wrong(key, typed, reason.to_owned());
            }
        }
        if let Some(typed) = low.values.get("http_listen")
            && listen == http_listen
            && listen.port() != 0
        {
            self.wrong(
                "http_listen",
                typed,
                String::from("listen has the same; each needs a port of its own"),
            );
        }
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    SocketAddr::from_str(text).map_err(|_| {
        String::from("must be ADDRESS:PORT with a numeric address, such as 127.0.0.1:7480 or [::1]:7480")
    })
}

fn switch(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(String::from("must be true or false")),
    }
}

fn folder(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text.contains('\0') {
        return Err(String::from("must be a folder"));
    }
    Ok(PathBuf::from(text))
}

fn duration(text: &str, min: Duration, max: Duration) -> Result<Duration, String> {
    let range = || {
        let (min, max) = (humantime::format_duration(min), humantime::format_duration(max));
        format!("must be a duration such as 5s or 200us, {min} to {max}")
    };
    let value = humantime::parse_duration(text).map_err(|_| range())?;
    if value < min || value > max {
        return Err(range());
    }
    Ok(value)
}

fn mode(text: &str) -> Result<Mode, String> {
    match text {
        "observe" => Ok(Mode::Observe),
        "apply" => Ok(Mode::Apply),
        _ => Err(String::from("must be observe or apply")),
    }
}

fn whole(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("must be a whole number, 0 to {}", u64::MAX))
}

fn optional<T>(text: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<Option<T>, String> {
    if text.is_empty() { Ok(None) } else { parse(text).map(Some) }
}

fn log_filter(text: &str) -> Result<String, String> {
    let parsed = tracing_subscriber::EnvFilter::builder().parse(text);
    parsed.map_err(|error| format!("is no filter such as info or tarazu=debug: {error}"))?;
    Ok(text.to_owned())
}
