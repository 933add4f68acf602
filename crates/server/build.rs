//! Rebuilds the binary when the console was built anew: it is embedded.

fn main() {
    println!("cargo::rerun-if-changed=../../console/dist");
}
