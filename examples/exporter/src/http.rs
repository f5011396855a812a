//! An HTTP server with two pages, `/metrics` and `/healthz`.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// The maximum number of connections. More connections wait until one ends.
const CONNECTIONS: usize = 32;
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The contents of the pages.
pub trait Pages: Send + Sync + 'static {
    fn metrics(&self) -> impl Future<Output = String> + Send;
    /// Is the table in memory complete?
    fn is_healthy(&self) -> bool;
}

/// Serves until it is dropped.
pub async fn serve(listener: TcpListener, pages: Arc<impl Pages>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Probably there are no file descriptors left. Other connections may end.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let pages = pages.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, pages.as_ref()));
            let served = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADERS_WITHIN)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                tracing::debug!(%error, "a connection ended");
            }
            drop(slot);
        });
    }
}

async fn answer<B>(
    request: Request<B>,
    pages: &impl Pages,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let (status, kind, body) = match request.uri().path() {
        _ if !is_read => (StatusCode::METHOD_NOT_ALLOWED, "text/plain", String::new()),
        "/metrics" => (StatusCode::OK, OPENMETRICS, pages.metrics().await),
        "/healthz" if pages.is_healthy() => (StatusCode::OK, "text/plain", "in sync\n".into()),
        "/healthz" => {
            let body = "not in sync\n".into();
            (StatusCode::SERVICE_UNAVAILABLE, "text/plain", body)
        }
        _ => (StatusCode::NOT_FOUND, "text/plain", "see /metrics\n".into()),
    };
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}
