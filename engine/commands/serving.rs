//! What the long-running roles share: a runtime, a listener, and a calm end on Ctrl-C.

use std::future::Future;

use tokio::net::TcpListener;
use tokio::sync::watch;

use super::{CommandError, failed};

/// Runs until the work ends; the value it is given becomes true on Ctrl-C or SIGTERM.
///
/// # Errors
/// What the work says, or a runtime that cannot be started.
pub(super) fn block_on<W, F>(work: W) -> Result<(), CommandError>
where
    W: FnOnce(watch::Receiver<bool>) -> F,
    F: Future<Output = Result<(), CommandError>>,
{
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    let (stop, shutdown) = watch::channel(false);
    runtime.block_on(async move {
        tokio::spawn(async move {
            asked_to_stop().await;
            tracing::info!("stopping");
            let _ = stop.send(true);
            // Whoever asks twice does not want to wait.
            asked_to_stop().await;
            std::process::exit(130);
        });
        work(shutdown).await
    })
}

/// Opens the address to serve on.
///
/// # Errors
/// With the cure when the port is taken.
pub(super) async fn listen(address: &str) -> Result<TcpListener, CommandError> {
    TcpListener::bind(address).await.map_err(|error| {
        CommandError::failed(format!(
            "cannot listen on `{address}`: {error}: is it running already? else name another port"
        ))
    })
}

async fn asked_to_stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
