//! What the linker is told about `libtarazu.so`: its name, and that it stays loaded. A library whose code threads may be
//! in must not go away with a `dlclose`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libtarazu.so.0");
}
