//! Compiles the `.proto` files in pure Rust: no protoc to install.

use std::error::Error;

/// Every file of the package.
const FILES: [&str; 6] = ["common", "agents", "nodes", "placement", "admin", "record"];

fn main() -> Result<(), Box<dyn Error>> {
    let files = FILES.map(|file| format!("tarazu/v1/{file}.proto"));
    for file in &files {
        println!("cargo::rerun-if-changed={file}");
    }
    let descriptors = protox::compile(files, ["."])?;
    tonic_prost_build::configure().build_transport(false).compile_fds(descriptors)?;
    Ok(())
}
