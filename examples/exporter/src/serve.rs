//! The daemon of a node.

use std::sync::Arc;
use std::time::Duration;

use ctnetlink::{ErrorKind, Mirror};
use futures_util::TryStreamExt;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Mutex;
use tokio::time::{interval, timeout};

use crate::args::ServeArgs;
use crate::kernel::Meters;
use crate::message::Packer;
use crate::metrics::Page;
use crate::publisher::{Outbox, Publisher, connect};
use crate::pump::{Output, Pump, Shared, ToServer, Wanted};
use crate::spool::Spool;
use crate::{Result, http};

/// How long what waits may be delivered after the end was asked for.
const GRACE: Duration = Duration::from_secs(5);

/// Exports until SIGTERM or SIGINT, or until the kernel's socket fails.
pub async fn serve(args: ServeArgs) -> Result {
    let (mut terminated, mut interrupted) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let (connection, handle) = ctnetlink::new_connection()?;
    let connection = tokio::spawn(connection);

    let shared = Shared::new(args.by.iter().copied());
    let mut outputs: Vec<Box<dyn Output>> = Vec::new();
    let mut publishing = None;
    if let Some(url) = &args.nats {
        let node = args.node.clone().map_or_else(host_name, Ok)?;
        let packer = Packer::new(&node)?;
        let limits = args
            .publish
            .spool
            .as_deref()
            .map(|path| (path, args.publish.spool_disk));
        let outbox = Outbox::new(Spool::open(args.publish.spool_memory, limits)?);
        let client = connect(url, &args.publish.stream, packer.node()).await?;
        let publisher = Publisher::new(client, outbox.clone(), Packer::new(&node)?, &args.publish);
        outputs.push(Box::new(ToServer {
            packer,
            outbox: outbox.clone(),
        }));
        publishing = Some((publisher, outbox));
    }

    let mut mirror = handle.mirror().receive_buffer(args.receive_buffer);
    if let Some(flows) = args.limit {
        mirror = mirror.limit(flows);
    }
    let mirror = mirror.await?;
    if let Some(address) = args.prometheus {
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|error| format!("prometheus: {address}: {error}"))?;
        tracing::info!(address = %listener.local_addr()?, "serving metrics");
        let page = Page {
            handle: handle.clone(),
            reader: mirror.reader(),
            shared: shared.clone(),
            outbox: publishing.as_ref().map(|(_, outbox)| outbox.clone()),
            compat: args.compat,
            top: args.top.unwrap_or(0).into(),
            meters: Mutex::new(Meters::default()),
        };
        tokio::spawn(http::serve(listener, Arc::new(page)));
    }

    let wanted = Wanted {
        begin: args.publish.begin,
        change: args.publish.change,
    };
    let pump = Pump::new(shared, outputs, wanted);
    let pumping = tokio::spawn(run(mirror, pump));
    let (mut publisher, outbox) = publishing.unzip();
    let ended = tokio::select! {
        ended = pumping => ended.unwrap_or_else(|panicked| Err(panicked.into())),
        _ = terminated.recv() => Ok(()),
        _ = interrupted.recv() => Ok(()),
        () = publish(publisher.as_mut()) => Ok(()),
    };
    connection.abort();
    if let (Some(publisher), Some(outbox)) = (&mut publisher, outbox) {
        let _ = timeout(GRACE, publisher.drain()).await;
        publisher.put_back();
        outbox.save();
    }
    ended
}

/// Takes the mirror's changes until it ends.
async fn run(mut mirror: Mirror, mut pump: Pump) -> Result {
    // Losses are told in time where no change follows them.
    let mut tick = interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            biased;
            delta = mirror.try_next() => match delta {
                Ok(Some(delta)) => pump.take(delta, mirror.stats()),
                Ok(None) => return Err("the kernel's events have ended".into()),
                Err(error) if error.kind() == ErrorKind::Closed => return Err(error.into()),
                Err(error) => tracing::warn!(%error, "the mirror goes on"),
            },
            _ = tick.tick() => pump.notice(mirror.stats()),
        }
    }
}

async fn publish(publisher: Option<&mut Publisher>) {
    match publisher {
        Some(publisher) => publisher.run().await,
        None => std::future::pending().await,
    }
}

fn host_name() -> Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/hostname")?
        .trim()
        .to_owned())
}
