use super::*;
use crate::error::ErrorKind;
use crate::flow::accounting::LONGEST;
use crate::wire::message::Request;

fn data() -> ExpectationPolicy {
    ExpectationPolicy::new("data", 1, Duration::from_secs(300))
}

fn helper(policies: usize) -> UserHelper {
    UserHelper::new("ftp", Family::Ipv4, Protocol::TCP, vec![data(); policies])
}

#[test]
fn what_cannot_be_is_refused() {
    let refused = |helper: UserHelper, word: &str| {
        let error = helper.check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(word), "{error}");
    };
    refused(helper(0), "one to 4");
    refused(helper(5), "one to 4");
    helper(1).check().unwrap();
    helper(4).private_data(32).check().unwrap();
    refused(helper(1).private_data(33), "32 bytes");
    let named = |name: &str| UserHelper::new(name, Family::Ipv4, 6, [data()]);
    refused(named(""), "empty");
    refused(named("a\0"), "NUL");
    refused(named("sixteen-bytes-xx"), "15 bytes");
    let mut many = helper(1);
    many.policies[0].max = 256;
    refused(many, "255 expectations");
    let mut nameless = helper(1);
    nameless.policies[0].name = "".into();
    refused(nameless, "policy: its name is empty");
    let mut long = helper(1);
    long.policies[0].timeout = LONGEST;
    long.check().unwrap();
    // With this timeout, expectations would end at once.
    long.policies[0].timeout = LONGEST + Duration::from_secs(1);
    refused(long, "policy: timeout");
    let mut nowhere = helper(1);
    nowhere.key.family = None;
    refused(nowhere, "family");
}

#[cfg(target_endian = "little")]
mod golden {
    use super::*;
    use crate::wire::golden::{assert_bytes, bytes};

    // The kernel's order of attributes differs from ours in the place of the policies.
    const THEIRS: &str = "74000000 0009 0200 01000000 00000000  00 00 0000
        0800 0100 66747000
        0800 0300 00000003
        1400 0280  0600 0100 00020000  0500 0200 06000000
        2c00 0480  0800 0100 00000001
                   2000 0280  0900 0100 64617461 00000000  0800 0200 00000001  0800 0300 0000012c
        0800 0500 00000010
        0800 0600 00000001";
    const OURS: &str = "74000000 0009 0500 01000000 00000000  00 00 0000
        0800 0100 66747000
        1400 0280  0600 0100 00020000  0500 0200 06000000
        0800 0300 00000003
        2c00 0480  0800 0100 00000001
                   2000 0280  0900 0100 64617461 00000000  0800 0200 00000001  0800 0300 0000012c
        0800 0500 00000010
        0800 0600 00000001";

    #[test]
    fn both_ways() {
        let expected = helper(1).queue(3).private_data(16);
        assert_eq!(
            Error::reading(&bytes(THEIRS), UserHelper::decode).unwrap(),
            expected
        );
        let request = Request::new(NFNL_MSG_CTHELPER_NEW, 0, 0).with(|w| expected.encode(w));
        assert_bytes(&request.finish(1), OURS);
        let disabled = Request::new(NFNL_MSG_CTHELPER_NEW, 0, 0)
            .with(|w| expected.enabled(false).encode(w))
            .finish(1);
        assert!(disabled.ends_with(&[8, 0, 6, 0, 0, 0, 0, 0]));
    }

    #[test]
    fn up_to_four_policies() {
        let mut four = helper(4);
        for (n, policy) in four.policies.iter_mut().enumerate() {
            policy.name = format!("policy{n}").into();
        }
        let request = Request::new(NFNL_MSG_CTHELPER_NEW, 0, 0).with(|w| four.encode(w));
        assert_eq!(
            Error::reading(&request.finish(1), UserHelper::decode).unwrap(),
            four
        );
    }
}

#[test]
fn names_have_a_bound() {
    let named = |name: usize, policy: usize| {
        let data = ExpectationPolicy::new("n".repeat(policy), 1, Duration::from_secs(300));
        UserHelper::new("n".repeat(name), Family::Ipv4, Protocol::TCP, [data])
    };
    let read = |helper: UserHelper| {
        let request = Request::new(NFNL_MSG_CTHELPER_NEW, 0, 0).with(|w| helper.encode(w));
        Error::reading(&request.finish(1), UserHelper::decode)
    };
    assert_eq!(read(named(15, 15)).unwrap(), named(15, 15));
    named(15, 15).check().unwrap();
    for length in [16, 30_000] {
        for (helper, attribute) in [
            (named(length, 1), "NFCTH_NAME"),
            (named(1, length), "NFCTH_POLICY_NAME"),
        ] {
            let error = helper.check().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains("15 bytes"), "{error}");
            let error = read(helper).unwrap_err().to_string();
            let long = format!("{attribute} is too long");
            assert!(error.contains(&long), "{error}");
        }
    }
}
