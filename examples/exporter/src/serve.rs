//! The daemon of a node.

use std::sync::Arc;
use std::time::Duration;

use ctnetlink::{ErrorKind, Mirror};
use futures_util::TryStreamExt;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

use crate::args::{PublishArgs, ServeArgs};
use crate::kernel::Meters;
use crate::message::{Packer, now};
use crate::metrics::Source;
use crate::otlp::{Queue, Sender, send_metrics};
use crate::page::Page;
use crate::publisher::{Outbox, Publisher, connect};
use crate::pump::{Output, Pump, Shared, ToServer, Wanted};
use crate::spool::{Journal, Spool};
use crate::{Result, http};

/// How long waiting messages are delivered after a signal to end.
const GRACE: Duration = Duration::from_secs(5);
/// How often the journal is updated.
const TICK: Duration = Duration::from_millis(200);

/// Exports until SIGTERM or SIGINT, or until the kernel's socket fails.
pub async fn serve(args: ServeArgs) -> Result {
    let (mut terminated, mut interrupted) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let (connection, handle) = ctnetlink::new_connection()?;
    let connection = tokio::spawn(connection);

    let shared = Shared::new(args.by.iter().copied());
    let node = args.node.clone().map_or_else(host_name, Ok)?;
    let mut outputs: Vec<Box<dyn Output>> = Vec::new();
    let publishing = match &args.nats {
        Some(url) => Some(to_server(url, &node, &args.publish, &mut outputs).await?),
        None => None,
    };
    let (mut publisher, outbox) = publishing.unzip();
    let (left, journal) = outbox.as_ref().map(Outbox::journal).unwrap_or_default();
    let mut queue = None;
    let mut sender = None;
    if let Some(url) = &args.otlp {
        let records = Queue::new(Packer::new(&node)?, args.otlp_queue as usize);
        sender = Some(Sender::new(url, &node, records.clone())?);
        outputs.push(Box::new(records.clone()));
        queue = Some(records);
    }

    let mut mirror = handle.mirror().receive_buffer(args.receive_buffer);
    if let Some(flows) = args.limit {
        mirror = mirror.limit(flows);
    }
    let mirror = mirror.await?;
    let source = Arc::new(Source {
        handle: handle.clone(),
        reader: mirror.reader(),
        shared: shared.clone(),
        outbox: outbox.clone(),
        queue,
        top: args.top.unwrap_or(0).into(),
        meters: Mutex::new(Meters::default()),
    });
    let mut reporting = None;
    if let Some(url) = &args.otlp {
        let period = Duration::from_secs(args.otlp_interval);
        let sending = send_metrics(url, &node, source.clone(), period)?;
        reporting = Some(tokio::spawn(sending));
    }
    if let Some(address) = args.prometheus {
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|error| format!("prometheus: {address}: {error}"))?;
        tracing::info!(address = %listener.local_addr()?, "serving metrics");
        let compat = args.compat;
        tokio::spawn(http::serve(listener, Arc::new(Page { source, compat })));
    }

    let wanted = Wanted {
        begin: args.publish.begin,
        change: args.publish.change,
    };
    let pump = Pump::new(shared, outputs, wanted, left.told);
    let mut pumping = tokio::spawn(run(mirror, pump, journal));
    let ended = tokio::select! {
        ended = &mut pumping => ended.unwrap_or_else(|panicked| Err(panicked.into())),
        _ = terminated.recv() => Ok(()),
        _ = interrupted.recv() => Ok(()),
        () = publish(publisher.as_mut()) => Ok(()),
        () = send(sender.as_mut()) => Ok(()),
    };
    pumping.abort();
    reporting.inspect(JoinHandle::abort);
    connection.abort();
    let published = async {
        if let Some(publisher) = &mut publisher {
            let _ = timeout(GRACE, publisher.drain()).await;
            publisher.put_back();
        }
    };
    let sent = async {
        if let Some(sender) = &mut sender {
            let _ = timeout(GRACE, sender.drain()).await;
        }
    };
    tokio::join!(published, sent);
    if let Some(outbox) = outbox {
        outbox.save();
    }
    if let Some(left) = sender.map(|sender| sender.left()).filter(|left| *left > 0) {
        tracing::warn!(left, "records were not delivered");
    }
    ended
}

/// The publisher, and the outbox for its messages.
async fn to_server(
    url: &str,
    node: &str,
    args: &PublishArgs,
    outputs: &mut Vec<Box<dyn Output>>,
) -> Result<(Publisher, Outbox)> {
    let packer = Packer::new(node)?;
    let directory = args.spool.as_deref().map(|path| (path, args.spool_disk));
    let outbox = Outbox::new(Spool::open(args.spool_memory, directory)?);
    let client = connect(url, &args.stream, packer.node()).await?;
    let publisher = Publisher::new(client, outbox.clone(), Packer::new(node)?, args);
    outputs.push(Box::new(ToServer {
        packer,
        outbox: outbox.clone(),
    }));
    Ok((publisher, outbox))
}

/// Handles the mirror's changes until it ends.
async fn run(mut mirror: Mirror, mut pump: Pump, journal: Arc<Journal>) -> Result {
    let reader = mirror.reader();
    // So losses are reported in time, also if no change follows them.
    let mut tick = interval(TICK);
    loop {
        tokio::select! {
            biased;
            delta = mirror.try_next() => match delta {
                Ok(Some(delta)) => pump.take(delta, mirror.stats()),
                Ok(None) => return Err("the kernel's events have ended".into()),
                Err(error) if error.kind() == ErrorKind::Closed => return Err(error.into()),
                Err(error) => tracing::warn!(%error, "the mirror failed; it tries again"),
            },
            _ = tick.tick() => {
                let now = now();
                pump.notice(mirror.stats());
                // No change waits, because the mirror was polled first.
                if reader.is_synced() {
                    journal.told(now);
                }
            }
        }
    }
}

async fn publish(publisher: Option<&mut Publisher>) {
    match publisher {
        Some(publisher) => publisher.run().await,
        None => std::future::pending().await,
    }
}

async fn send(sender: Option<&mut Sender>) {
    match sender {
        Some(sender) => sender.run().await,
        None => std::future::pending().await,
    }
}

fn host_name() -> Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/hostname")?
        .trim()
        .to_owned())
}
