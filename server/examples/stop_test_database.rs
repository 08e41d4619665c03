//! Stops the PostgreSQL that tests leave running in the target folder: for `./x` and CI, after all tests.

fn main() -> anyhow::Result<()> {
    doorstep_server::database::testing::stop()
}
