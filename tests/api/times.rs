//! Times in text and in binary formats.

use std::time::Duration;

use super::serde::same;

/// A valid date and time in UTC, in the range of the kernel's clock.
#[test]
fn a_time_is_one_of_the_calendar() {
    let read = |text: &str| {
        serde_json::from_str::<ctnetlink::Timestamp>(&format!(r#"{{"start":"{text}"}}"#))
    };
    let seconds = |text: &str| {
        let start = read(text)
            .unwrap_or_else(|error| panic!("{text}: {error}"))
            .start;
        let since = start.duration_since(std::time::UNIX_EPOCH).unwrap();
        (since.as_secs(), since.subsec_nanos())
    };
    // The values are from GNU date(1).
    for (text, expected) in [
        ("1970-01-01T00:00:00Z", (0, 0)),
        ("1999-12-31T23:59:59Z", (946_684_799, 0)),
        ("2000-02-29T00:00:00Z", (951_782_400, 0)),
        ("2024-02-29T12:00:00.5Z", (1_709_208_000, 500_000_000)),
        ("2026-11-30t01:02:03.000000001z", (1_796_000_523, 1)),
        ("2100-03-01T00:00:00Z", (4_107_542_400, 0)),
        (
            "2554-07-21T23:34:33.709551615Z",
            (18_446_744_073, 709_551_615),
        ),
    ] {
        assert_eq!(seconds(text), expected, "{text}");
    }
    for text in [
        "2026-02-29T00:00:00Z",
        "2026-02-31T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-11-31T00:00:00Z",
        "2026-01-32T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:60Z",
        "2026-01-01T00:00:61Z",
        "1969-12-31T23:59:59Z",
        "2554-07-21T23:34:33.709551616Z",
        "2555-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "12026-01-01T00:00:00Z",
        "026-01-01T00:00:00Z",
        "2026-1-01T00:00:00Z",
        "2026-01-1T00:00:00Z",
        "2026-01-01T0:00:00Z",
        "2026-01-01T00:00Z",
        "2026-01-01T00:00:00:00Z",
        "2026-01-01-01T00:00:00Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00.0000000001Z",
        "2026-01-01T00:00:00.+1Z",
        "2026-01-01T+1:00:00Z",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:00+00:00",
        "2026-01-01T00:00:00-01:00",
        "2026-01-01 00:00:00Z",
        "2026-01-01",
        "",
    ] {
        let error = read(text)
            .map(|time| panic!("{text}: {time:?}"))
            .unwrap_err();
        assert!(error.to_string().contains("RFC 3339"), "{error}");
    }
    // Times that could not be read are not written.
    let epoch = std::time::UNIX_EPOCH;
    for start in [
        epoch - Duration::from_nanos(1),
        epoch + Duration::from_nanos(u64::MAX) + Duration::from_nanos(1),
    ] {
        let time = ctnetlink::Timestamp::new(start);
        assert!(serde_json::to_string(&time).is_err());
        assert!(postcard::to_allocvec(&time).is_err());
    }
    same(ctnetlink::Timestamp::new(
        epoch + Duration::from_nanos(u64::MAX),
    ));
}
