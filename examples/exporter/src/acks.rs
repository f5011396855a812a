//! The server's answers to published messages.

use async_nats::{Client, StatusCode, Subject, Subscriber};
use futures_util::{FutureExt, StreamExt};
use serde::Deserialize;

use crate::Result;

/// Receives the answers to all messages on one subscription, and identifies them by a number in
/// their subjects. A request for each message would need a channel, a timer and a map entry each.
pub struct Acks {
    inbox: String,
    answers: Subscriber,
    /// The number of messages so far.
    sent: u64,
}

/// The server has a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    pub number: u64,
    /// The server had the message already.
    pub duplicate: bool,
}

/// The used parts of JetStream's answer.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    error: Option<Refusal<'a>>,
    #[serde(default)]
    duplicate: bool,
}

#[derive(Deserialize)]
struct Refusal<'a> {
    #[serde(borrow)]
    description: std::borrow::Cow<'a, str>,
}

impl Acks {
    /// # Errors
    ///
    /// The connection is closed.
    pub async fn open(client: &Client) -> Result<Self> {
        let inbox = client.new_inbox();
        let answers = client.subscribe(format!("{inbox}.*")).await?;
        Ok(Self {
            inbox,
            answers,
            sent: 0,
        })
    }

    /// The subject for the answer to the next message. Messages are numbered from 0.
    pub fn reply(&mut self) -> Subject {
        let number = self.sent;
        self.sent += 1;
        format!("{}.{number}", self.inbox).into()
    }

    /// The next answer; cancel-safe.
    ///
    /// # Errors
    ///
    /// The server refuses the message, or there is no stream for it.
    pub async fn next(&mut self) -> Result<Ack> {
        match self.answers.next().await {
            Some(message) => read(&message),
            None => Err("the connection is closed".into()),
        }
    }

    /// The next answer, if it has arrived already.
    pub fn ready(&mut self) -> Option<Result<Ack>> {
        self.next().now_or_never()
    }
}

fn read(message: &async_nats::Message) -> Result<Ack> {
    if message.status == Some(StatusCode::NO_RESPONDERS) {
        return Err("no stream takes the messages".into());
    }
    let answer: Answer = serde_json::from_slice(&message.payload)?;
    if let Some(refusal) = answer.error {
        return Err(format!("the server refuses a message: {}", refusal.description).into());
    }
    let number = message.subject.rsplit('.').next();
    let number = number.and_then(|number| number.parse().ok());
    Ok(Ack {
        number: number.ok_or("an answer to no message")?,
        duplicate: answer.duplicate,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(subject: &'static str, payload: &'static str) -> Result<Ack> {
        read(&async_nats::Message {
            subject: Subject::from_static(subject),
            reply: None,
            payload: payload.as_bytes().into(),
            headers: None,
            status: None,
            description: None,
            length: 0,
        })
    }

    #[test]
    fn answers_are_told_apart() {
        let ack = answer("_INBOX.a.17", r#"{"stream":"CONNTRACK","seq":3}"#).expect("an ACK");
        assert_eq!((ack.number, ack.duplicate), (17, false));
        let text = r#"{"stream":"CONNTRACK","seq":3,"duplicate":true}"#;
        let ack = answer("_INBOX.a.0", text).expect("an ACK");
        assert_eq!((ack.number, ack.duplicate), (0, true));
        let text = r#"{"type":"x","error":{"code":503,"err_code":10077,"description":"no \"room\""},"stream":"","seq":0}"#;
        let error = answer("_INBOX.a.1", text).expect_err("a refusal");
        assert!(error.to_string().ends_with(r#"no "room""#), "{error}");
        assert!(answer("_INBOX.a.x", "{}").is_err());
        assert!(answer("_INBOX.a.1", "x").is_err());
    }
}
