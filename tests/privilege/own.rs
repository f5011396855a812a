//! An ordinary user in a user and a network namespace of its own.

use std::fs::File;
use std::process::{Command, ExitCode};
use std::{env, fs};

use ctnetlink::{ErrorKind, Options};
use libtest_mimic::{Arguments, Trial};

use crate::place::{Level, Place};
use crate::support::namespace::{self, block_on, isolated};
use crate::{trial, trials};

/// Set in the process that enters the namespaces, while it has a single thread.
const INSIDE: &str = "CTNETLINK_TEST_INSIDE";
/// Its exit status if the machine does not permit that.
const SHUT: u8 = 77;

pub(crate) fn tests(place: Place) -> Option<Trial> {
    let goes = place.level == Level::Rootless;
    goes.then(|| trial("user_namespace", everything_works_inside))
}

fn everything_works_inside() -> Result<(), String> {
    let program = env::current_exe().expect("this program");
    let child = Command::new(program)
        .env(INSIDE, "1")
        .env_remove("CTNETLINK_LEVEL")
        .output()
        .expect("a process");
    let said = String::from_utf8_lossy(&child.stderr);
    if child.status.code() == Some(SHUT.into()) {
        assert!(!is_filtered() || said.contains("seccomp"), "{said}");
        return Err(said.trim().into());
    }
    let tests = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{said}{tests}");
    Ok(())
}

/// Is a seccomp filter in force?
fn is_filtered() -> bool {
    let status = fs::read_to_string("/proc/self/status").expect("the status");
    status.lines().any(|line| line == "Seccomp:\t2")
}

pub(crate) fn is_inside() -> bool {
    env::var_os(INSIDE).is_some()
}

pub(crate) fn inside() -> ExitCode {
    let outside = File::open("/proc/self/ns/net").expect("the namespace");
    if let Err(reason) = namespace::enter() {
        eprintln!("{reason}");
        return SHUT.into();
    }
    let place = Place::find();
    assert_eq!(place.level, Level::UserNamespace);
    let mut trials = trials(place);
    trials.push(trial("the_way_back_is_shut", || {
        the_way_back_is_shut(outside);
        Ok(())
    }));
    libtest_mimic::run(&Arguments::default(), trials).exit_code()
}

/// It has no right over the namespace that it came from.
fn the_way_back_is_shut(outside: File) {
    let opened = isolated(|| {
        block_on(async {
            let options = Options::new().network_namespace(outside);
            options.connect().await.map(drop)
        })
    });
    let error = opened.expect_err("a connection, without the right to one");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert!(error.to_string().contains("CAP_SYS_ADMIN"), "{error}");
}
