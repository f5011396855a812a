//! Keeps the table in memory, counts flows by destination, and looks up the original destination of
//! connections with NAT.
//!
//! `sudo cargo run --example mirror -- /run/nat.sock`; Ctrl-C ends it. A program that has accepted
//! a connection with a translated destination sends the line `tcp PEER LOCAL` (`printf 'tcp
//! 192.0.2.1:4000 10.1.0.7:443\n' | socat - UNIX-CONNECT:/run/nat.sock`), and gets the original
//! destination, or `unknown`.

#[macro_use]
#[path = "common/println.rs"]
mod println;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use ctnetlink::{FlowKey, MirrorReader, Tuple};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

type Error = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let path = std::env::args().nth(1).ok_or("the path of the socket")?;
    let handle = ctnetlink::connect().await?;
    let mirror = handle.mirror().await?;
    let reader = mirror.reader();
    let mut running = tokio::spawn(mirror.run());
    reader.synced().await?;
    let listener = UnixListener::bind(&path)?;
    println!("in sync");
    let mut stop = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        tokio::select! {
            ended = &mut stop => {
                ended?;
                break;
            }
            ended = &mut running => return Ok(ended??),
            accepted = listener.accept() => {
                if let Err(error) = answer(&reader, accepted?.0).await {
                    eprintln!("{error}");
                }
            }
        }
    }
    std::fs::remove_file(&path)?;
    let mut counts = HashMap::<IpAddr, usize>::new();
    for flow in reader.find(&ctnetlink::Filter::default()) {
        *counts.entry(flow.orig.dst()).or_default() += 1;
    }
    for (destination, flows) in counts {
        println!("{destination}: {flows} flows");
    }
    Ok(())
}

/// Answers one request line.
async fn answer(reader: &MirrorReader, stream: UnixStream) -> Result<(), Error> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let original = match original(reader, &line) {
        Ok(Some(original)) => original.to_string(),
        Ok(None) => "unknown".to_owned(),
        Err(error) => error.to_string(),
    };
    stream.write_all(format!("{original}\n").as_bytes()).await?;
    Ok(())
}

/// The original destination of a connection. The server's packets are the reply direction.
fn original(reader: &MirrorReader, line: &str) -> Result<Option<SocketAddr>, Error> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [protocol, peer, local] = words[..] else {
        return Err("usage: tcp|udp PEER LOCAL".into());
    };
    let (peer, local) = (peer.parse()?, local.parse()?);
    let answers = match protocol {
        "tcp" => Tuple::tcp(local, peer)?,
        "udp" => Tuple::udp(local, peer)?,
        _ => return Err(format!("{protocol} is neither tcp nor udp").into()),
    };
    let flow = reader.get(FlowKey::reply(answers));
    Ok(flow.and_then(|flow| flow.orig.dst_socket()))
}
