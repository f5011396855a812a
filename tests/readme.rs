//! The recipes of the README, compiled and run on a kernel in the process, and its length.

use std::time::Duration;

use ctnetlink::testing::Kernel;
use ctnetlink::{
    Change, ConntrackHandle, CpuStats, Event, EventKinds, Filter, Flow, NewFlow, Patch, Protocol,
    Table, Tuple,
};
use futures::TryStreamExt;

const README: &str = include_str!("../README.md");
const RECIPES: &str = include_str!("readme.rs");

fn on_a_table<T>(test: impl AsyncFnOnce(ConntrackHandle) -> ctnetlink::Result<T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let handle = Kernel::new().connect();
        for (port, client) in [(53, 1), (53, 2), (80, 3)] {
            let source = ([10, 0, 0, client], 4000).into();
            let tuple = Tuple::udp(source, ([10, 0, 0, 9], port).into()).expect("a tuple");
            let flow = NewFlow::new(tuple, Duration::from_secs(60));
            handle.create(flow).await.expect("a flow");
        }
        test(handle).await.expect("a recipe")
    })
}

fn policy(flow: &Flow) -> Option<u32> {
    (flow.orig.dst_port() == Some(53)).then_some(7)
}

#[test]
fn stale_flows_go() {
    let report = on_a_table(async |handle| {
        let endpoint = std::net::IpAddr::from([10, 0, 0, 9]);
        let stale = Filter::builder()
            .protocol(Protocol::UDP)
            .reply_src(endpoint)
            .build()?;
        let report = handle.delete_matching(stale).await?;
        println!(
            "{} deleted, {} had ended already",
            report.applied, report.gone
        );
        Ok(report)
    });
    assert_eq!(report.applied, 3);
}

#[test]
fn a_policy_marks() {
    let report = on_a_table(async |handle| {
        let report = handle
            .change_matching(Filter::default(), |flow| {
                let mark = policy(flow)?; // None leaves the flow as it is
                Some(Change::update(flow, Patch::new().mark(mark)))
            })
            .await?;
        Ok(report)
    });
    assert_eq!(report.applied, 2);
}

#[test]
fn what_happens_is_heard() {
    on_a_table(async |handle| {
        let kernel = handle.clone();
        let watch = async {
            let mut events = handle
                .events()
                .kinds(EventKinds::NEW | EventKinds::DESTROY)
                .await?;
            while let Some(event) = events.try_next().await? {
                match event {
                    Event::Overrun { lost } => eprintln!("{lost} events were lost"),
                    event => println!("{event}"),
                }
            }
            Ok::<(), ctnetlink::Error>(())
        };
        // The stream has no end. The clock jumps to the timeout when nothing else is left to do.
        let watch = tokio::time::timeout(Duration::from_secs(1), watch);
        let (watched, flushed) = tokio::join!(watch, kernel.flush(Table::Conntrack).into_future());
        flushed?;
        assert!(watched.is_err(), "{watched:?}");
        Ok(())
    });
}

#[test]
fn a_copy_in_memory() {
    on_a_table(async |handle| {
        let tuple = Tuple::udp(([10, 0, 0, 1], 1).into(), ([10, 0, 0, 9], 2).into())?;
        let filter = Filter::builder().protocol(Protocol::UDP).build()?;
        let mirror = handle.mirror().await?;
        let reader = mirror.reader();
        tokio::spawn(mirror.run());
        reader.synced().await?;
        let is_idle = reader.is_synced() && reader.get(tuple).is_none();
        let matching = reader.find(&filter).count(); // an iterator over the flows that match
        assert!(is_idle);
        assert_eq!((matching, reader.len()), (3, 3));
        Ok(())
    });
}

#[test]
fn numbers_of_the_table() {
    on_a_table(async |handle| {
        let table = handle.stats().await?;
        let dropped = CpuStats::total(&handle.cpu_stats().await?).drop;
        println!(
            "{} flows of {:?}, {dropped:?} dropped",
            table.entries, table.max
        );
        assert_eq!(table.entries, 3);
        assert_eq!(dropped, Some(0));
        Ok(())
    });
}

/// The recipes are in this file too, where they are compiled.
#[test]
fn recipes_are_those_that_run() {
    let words = |text: &str| {
        text.replace(',', " ")
            .split_whitespace()
            .collect::<String>()
    };
    let recipes = README.split("## Recipes").nth(1).expect("recipes");
    let recipes = recipes.split("\n## ").next().expect("an end");
    let blocks: Vec<_> = recipes.split("```rust\n").skip(1).collect();
    assert!(blocks.len() >= 5, "{} recipes", blocks.len());
    let compiled = words(RECIPES);
    for block in blocks {
        let block = block.split("```").next().expect("an end");
        assert!(block.lines().count() <= 15, "{block}");
        assert!(compiled.contains(&words(block)), "not compiled: {block}");
    }
}

#[test]
fn it_is_short() {
    assert!(README.lines().count() <= 180);
}
