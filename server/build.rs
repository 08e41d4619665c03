//! Makes cargo notice a new or changed migration (`sqlx::migrate!` alone does not) and a console built anew.
fn main() {
    println!("cargo:rerun-if-changed=../migrations");
    println!("cargo:rerun-if-changed=console/dist");
}
