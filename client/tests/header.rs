//! The committed header is the one that cbindgen makes of the source.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::path::Path;

/// With `TARAZU_BLESS=1` the header is written instead of compared.
#[test]
fn the_header_is_that_of_the_source() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap();
    let bindings =
        cbindgen::Builder::new().with_config(config).with_src(root.join("src/abi.rs")).generate().unwrap();
    let mut made = Vec::new();
    bindings.write(&mut made);
    let made = String::from_utf8(made).unwrap();
    let path = root.join("include/tarazu.h");
    if std::env::var_os("TARAZU_BLESS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(made == committed, "{} is old: run this test with TARAZU_BLESS=1\n{made}", path.display());
}
