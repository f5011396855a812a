//! HTTP to the collector: one connection, one request at a time.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::Result;

/// How long an answer may take.
const WITHIN: Duration = Duration::from_secs(10);
/// The maximum size of an answer, which has only a number and a message.
const ANSWER_BYTES: usize = 64 << 10;

/// Sends requests to the pages below one URL.
#[derive(Debug)]
pub(super) struct Client {
    authority: String,
    base: String,
    sender: Option<SendRequest<Full<Bytes>>>,
}

/// The collector's answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Bytes,
}

impl Client {
    /// # Errors
    ///
    /// The URL is not `http:`. For TLS, run a collector on this host.
    pub(super) fn new(url: &str) -> Result<Self> {
        let uri: Uri = url
            .parse()
            .map_err(|error| format!("otlp: {url:?}: {error}"))?;
        let (Some("http"), Some(host)) = (uri.scheme_str(), uri.host()) else {
            return Err(format!("otlp: {url:?}: it must be http://HOST:PORT").into());
        };
        Ok(Self {
            authority: format!("{host}:{}", uri.port_u16().unwrap_or(4318)),
            base: uri.path().trim_end_matches('/').to_owned(),
            sender: None,
        })
    }

    /// # Errors
    ///
    /// No answer came in time. The next request uses a new connection.
    pub(super) async fn post(&mut self, page: &str, body: Bytes) -> Result<Answer> {
        let sender = self.sender.take();
        let (answer, sender) = timeout(WITHIN, self.exchange(sender, page, body))
            .await
            .map_err(|_| "no answer in time")??;
        self.sender = Some(sender);
        Ok(answer)
    }

    async fn exchange(
        &self,
        sender: Option<SendRequest<Full<Bytes>>>,
        page: &str,
        body: Bytes,
    ) -> Result<(Answer, SendRequest<Full<Bytes>>)> {
        let mut sender = match sender.filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        sender.ready().await?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}{page}", self.base))
            .header(HOST, &self.authority)
            .header(CONTENT_TYPE, "application/x-protobuf")
            .body(Full::new(body))?;
        let response = sender.send_request(request).await?;
        let (head, body) = response.into_parts();
        let retry_after = head.headers.get(RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
        let answer = Answer {
            status: head.status,
            retry_after: retry_after.map(Duration::from_secs),
            body: Limited::new(body, ANSWER_BYTES).collect().await?.to_bytes(),
        };
        Ok((answer, sender))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(&self.authority).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // The task ends with the sender.
        tokio::spawn(connection);
        Ok(sender)
    }
}

impl Answer {
    /// Should the same request be sent again? The protocol names these four.
    pub(super) fn is_for_later(&self) -> bool {
        matches!(self.status.as_u16(), 429 | 502 | 503 | 504)
    }
}
