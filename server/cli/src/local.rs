//! Commands on the server's own machine: they open the database and keys of a data folder, beside a running server or
//! without one, and act as the server itself.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use doorstep_server::app::App;
use doorstep_server::clock::SystemClock;
use doorstep_server::config::Config;
use doorstep_server::database::Ownership;
use doorstep_server::state::AppState;

use crate::failure::Failure;

/// Where the server's data is.
#[derive(clap::Args, Debug, Clone)]
pub(crate) struct DataArgs {
    /// 服务器的数据目录（密钥和自带的数据库）
    #[arg(long, value_name = "目录", env = "DOORSTEP_DATA")]
    pub(crate) data: PathBuf,
    /// 使用已有的 PostgreSQL；不填则用数据目录里自带的数据库
    #[arg(
        long,
        value_name = "地址",
        env = "DOORSTEP_DATABASE",
        hide_env_values = true
    )]
    pub(crate) database: Option<String>,
}

impl DataArgs {
    pub(crate) fn config(&self) -> Config {
        Config {
            database_url: self.database.clone(),
            ..Config::new(self.data.clone())
        }
    }
}

/// Opens, does the work, and closes again whatever came of it.
pub(crate) async fn with_state<T, F>(
    data: &DataArgs,
    work: impl FnOnce(AppState) -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    with_config(data.config(), work).await
}

/// The same, with other settings than a data folder's.
pub(crate) async fn with_config<T, F>(
    config: Config,
    work: impl FnOnce(AppState) -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let app = App::open(config, Arc::new(SystemClock), Ownership::Share).await?;
    let result = work(app.state.clone()).await;
    let closed = app.close().await;
    let value = result?;
    closed?;
    Ok(value)
}
