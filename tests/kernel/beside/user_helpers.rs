//! Helpers in user space: every verb if the kernel has them, and the error if it does not.

use std::time::{Duration, Instant};

use ctnetlink::{
    ErrorKind, ExpectationPolicy, Family, NewFlow, Protocol, UserHelper, UserHelperKey,
};
use libtest_mimic::Trial;
use tokio::time::sleep;

use crate::common::connect;
use crate::support::nft::{self, Port};
use crate::support::{patience, release};
use crate::verbs::{HOUR, refused, tcp};

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["user_helpers":
        every_verb_or_the_cure,
        input_is_refused_before_anything_is_sent,
    ]
}

fn helper(name: &str) -> UserHelper {
    let data = ExpectationPolicy::new("data", 1, Duration::from_secs(300));
    UserHelper::new(name, Family::Ipv4, Protocol::TCP, [data]).queue(77)
}

/// Helpers belong to the whole machine, so the name is unusual.
async fn every_verb_or_the_cure() {
    let handle = connect();
    let helpers = handle.user_helpers();
    let wanted = helper(&format!("t{}", std::process::id() % 1_000_000));
    match helpers.create(wanted.clone()).await {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            assert!(
                error.to_string().contains("initial user namespace"),
                "{error}"
            );
            return;
        }
        created => {
            let cure = ["nfnetlink_cthelper"];
            refused(created, ErrorKind::Unsupported, &cure);
            refused(helpers.list().await, ErrorKind::Unsupported, &cure);
            refused(helpers.get(&wanted).await, ErrorKind::Unsupported, &cure);
            refused(
                helpers.update(wanted.clone()).await,
                ErrorKind::Unsupported,
                &cure,
            );
            refused(helpers.delete(&wanted).await, ErrorKind::Unsupported, &cure);
            refused(helpers.flush().await, ErrorKind::Unsupported, &cure);
            return;
        }
    }
    assert_eq!(
        helpers.get(&wanted).await.expect("an answer"),
        Some(wanted.clone())
    );
    assert!(helpers.list().await.expect("a list").contains(&wanted));
    let again = helpers.create(wanted.clone()).await;
    refused(again, ErrorKind::AlreadyExists, &["already"]);
    let changed = wanted.clone().queue(78).enabled(false);
    helpers.update(changed.clone()).await.expect("an update");
    assert_eq!(
        helpers.get(&wanted).await.expect("an answer"),
        Some(changed)
    );
    let room = helpers.update(wanted.clone().private_data(8)).await;
    refused(room, ErrorKind::Busy, &["never change"]);
    // The first flow with this helper makes the kernel load its own one.
    let control = NewFlow::new(tcp(1), HOUR).helper("ftp");
    handle.create(control).await.expect("a flow with a helper");
    let error = helpers.create(helper("ftp")).await.expect_err("it has one");
    // Linux 5.10 treats it as a helper in user space.
    let kinds = [ErrorKind::Busy, ErrorKind::AlreadyExists];
    assert!(kinds.contains(&error.kind()), "{error}");
    one_that_a_rule_uses_is_kept().await;
    helpers.delete(&wanted).await.expect("a delete");
    refused(
        helpers.delete(&wanted).await,
        ErrorKind::NotFound,
        &["no helper"],
    );
    refused(
        helpers.update(wanted.clone()).await,
        ErrorKind::NotFound,
        &["no helper"],
    );
    assert_eq!(helpers.get(&wanted).await.expect("an answer"), None);
    helpers.create(wanted.clone()).await.expect("a helper");
    let all = helpers.list().await.expect("a list");
    // A test must not delete the helpers of other programs.
    match all == [wanted.clone()] {
        true => helpers.flush().await.expect("a flush"),
        false => helpers.delete(&wanted).await.expect("a delete"),
    }
    assert_eq!(helpers.get(&wanted).await.expect("an answer"), None);
}

/// Until Linux 7.3, which removes it from the rule.
async fn one_that_a_rule_uses_is_kept() {
    let handle = connect();
    let helpers = handle.user_helpers();
    let wanted = helper(&format!("r{}", std::process::id() % 1_000_000));
    helpers.create(wanted.clone()).await.expect("a helper");
    let rule = nft::helper(&wanted.key.name, Port::Tcp(21)).expect("a rule");
    if release::takes_helpers_away() {
        refused(
            helpers.delete(&wanted).await,
            ErrorKind::Busy,
            &["a rule uses"],
        );
        rule.delete().expect("to take the rule away");
        let patience = Instant::now() + patience::answer();
        while let Err(error) = helpers.delete(&wanted).await {
            assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
            assert!(Instant::now() < patience, "it is busy for ever");
            sleep(Duration::from_millis(10)).await;
        }
    } else {
        helpers.delete(&wanted).await.expect("a delete");
    }
}

async fn input_is_refused_before_anything_is_sent() {
    let handle = connect();
    let helpers = handle.user_helpers();
    let key = UserHelperKey::new("", Family::Ipv4, Protocol::TCP);
    refused(
        helpers.delete(&key).await,
        ErrorKind::InvalidInput,
        &["name is empty"],
    );
    refused(
        helpers.get(&key).await,
        ErrorKind::InvalidInput,
        &["name is empty"],
    );
    let wide = helper("t").private_data(33);
    refused(
        helpers.create(wide.clone()).await,
        ErrorKind::InvalidInput,
        &["32 bytes"],
    );
    refused(
        helpers.update(wide).await,
        ErrorKind::InvalidInput,
        &["32 bytes"],
    );
}
