// Runs the examples of the crate's documentation on the real kernel. Each example includes this
// file, so it uses no other one.

type Done = Result<(), Box<dyn std::error::Error>>;

/// Runs an example with a handle on an empty table. If that is not possible here, it prints why.
fn in_namespace(example: impl AsyncFnOnce(ctnetlink::ConntrackHandle) -> Done) {
    alone(|| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build()?.block_on(async {
            example(ctnetlink::connect().await?).await
        })
    });
}

/// Runs an example in a network namespace of its own.
fn alone(example: impl FnOnce() -> Done) {
    use nix::sched::{CloneFlags, unshare};

    let (uid, gid) = (nix::unistd::getuid(), nix::unistd::getgid());
    let mut namespaces = CloneFlags::CLONE_NEWNET;
    if !uid.is_root() {
        namespaces |= CloneFlags::CLONE_NEWUSER;
    }
    if let Err(errno) = unshare(namespaces) {
        assert!(std::env::var_os("CTNETLINK_TEST_STRICT").is_none(), "no namespace: {errno}");
        println!("skipped: no namespace of its own: {errno}");
        return;
    }
    if !uid.is_root() {
        std::fs::write("/proc/self/setgroups", "deny").unwrap();
        std::fs::write("/proc/self/uid_map", format!("0 {uid} 1")).unwrap();
        std::fs::write("/proc/self/gid_map", format!("0 {gid} 1")).unwrap();
    }
    example().unwrap();
}
