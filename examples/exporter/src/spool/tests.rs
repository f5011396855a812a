use std::fs;

use super::*;

/// A directory that is removed at the end of the test.
struct Directory(std::path::PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("spool-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn files(&self) -> usize {
        let files = fs::read_dir(&self.0).expect("the directory").flatten();
        files
            .filter(|file| file.path().extension().is_some())
            .count()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn parcel(n: usize) -> Parcel {
    Parcel {
        subject: "conntrack.a.0.tcp".into(),
        id: format!("id.{n}"),
        payload: format!(r#"{{"n":{n},"filler":"{}"}}"#, "x".repeat(1000)).into(),
    }
}

fn ids(spool: &mut Spool) -> Vec<String> {
    std::iter::from_fn(|| spool.pop())
        .map(|waiting| waiting.parcel.id)
        .collect()
}

/// Delivers everything, and returns the number of reported losses.
fn lost(spool: &mut Spool) -> u64 {
    let mut count = 0;
    let told = spool.take_lost(|lost| {
        count = lost;
        Ok(parcel(0))
    });
    drop(told.expect("a message"));
    count
}

fn numbers(numbers: impl Iterator<Item = usize>) -> Vec<String> {
    numbers.map(|n| format!("id.{n}")).collect()
}

#[test]
fn memory_is_bounded_and_what_has_no_room_is_counted() {
    let mut spool = Spool::open(10 * size(&parcel(0)), None).expect("a spool");
    (0..25).for_each(|n| spool.push(parcel(n), 1));
    spool.push(parcel(25), 7);
    assert_eq!(spool.fill().memory_bytes, 10 * size(&parcel(0)));
    assert_eq!(lost(&mut spool), 15 + 7);
    assert_eq!(lost(&mut spool), 0);
    assert_eq!(ids(&mut spool), numbers(0..10));
    assert_eq!(spool.fill(), Fill::default());
}

#[test]
fn disk_comes_after_memory_keeps_the_order_and_is_bounded() {
    let directory = Directory::new("order");
    let mut spool = Spool::open(5000, Some((&directory.0, 9 << 20))).expect("a spool");
    (0..10_000).for_each(|n| spool.push(parcel(n), 1));
    let fill = spool.fill();
    assert!(fill.memory_bytes <= 5000, "{fill:?}");
    assert!((8 << 20..=9 << 20).contains(&fill.disk_bytes), "{fill:?}");
    assert!(directory.files() >= 2);
    let gone = lost(&mut spool) as usize;
    let kept = ids(&mut spool);
    assert_eq!(kept, numbers(0..10_000 - gone));
    assert_eq!((spool.fill(), directory.files()), (Fill::default(), 0));
}

#[test]
fn a_file_stays_until_all_of_it_is_delivered() {
    let directory = Directory::new("delivered");
    let mut spool = Spool::open(0, Some((&directory.0, 1 << 20))).expect("a spool");
    (0..3).for_each(|n| spool.push(parcel(n), 1));
    let first = spool.pop().expect("the first");
    let second = spool.pop().expect("the second");
    drop(second);
    spool.put_back([first].into_iter());
    // The program is killed here, without a save.
    std::mem::forget(spool);
    assert_eq!(directory.files(), 1);
    let mut spool = Spool::open(0, Some((&directory.0, 1 << 20))).expect("a spool");
    assert_eq!(ids(&mut spool), numbers(0..3));
    assert_eq!(directory.files(), 0);
}

#[test]
fn what_is_saved_is_there_in_the_next_run() {
    let directory = Directory::new("saved");
    let limits = || Spool::open(2500, Some((directory.0.as_path(), 1 << 20))).expect("a spool");
    let mut spool = limits();
    (0..6).for_each(|n| spool.push(parcel(n), 1));
    assert_eq!(spool.save(), 0);
    let mut spool = limits();
    assert!(!spool.is_empty());
    // Taken from its file, and not delivered.
    let one = spool.pop().expect("one");
    spool.put_back([one].into_iter());
    assert_eq!(spool.save(), 0);
    let mut all = ids(&mut limits());
    all.sort();
    assert_eq!(all, numbers(0..6));

    let mut spool = Spool::open(1 << 20, None).expect("a spool");
    (0..6).for_each(|n| spool.push(parcel(n), 1));
    assert_eq!(spool.save(), 6);
}

#[test]
fn a_line_that_was_cut_short_is_lost_and_the_others_are_not() {
    let directory = Directory::new("cut");
    let mut spool = Spool::open(0, Some((&directory.0, 1 << 20))).expect("a spool");
    (0..3).for_each(|n| spool.push(parcel(n), 1));
    spool.save();
    let mut files = fs::read_dir(&directory.0).expect("files").flatten();
    let file = files.find(|file| file.path().extension().is_some());
    let path = file.expect("a file").path();
    let bytes = fs::read(&path).expect("its bytes");
    fs::write(path, &bytes[..bytes.len() - 20]).expect("written");
    let mut spool = Spool::open(0, Some((&directory.0, 1 << 20))).expect("a spool");
    assert_eq!(ids(&mut spool), numbers(0..2));
    assert_eq!(lost(&mut spool), 1);
}

#[test]
fn a_run_that_is_killed_leaves_the_number_of_those_that_were_in_memory_alone() {
    let directory = Directory::new("killed");
    let room = 10 * size(&parcel(0));
    let open = || Spool::open(room, Some((directory.0.as_path(), 5_000))).expect("a spool");
    let mut spool = open();
    assert_eq!(spool.left(), Left::default());
    // Ten in memory, four on disk, six have no room.
    (0..20).for_each(|n| spool.push(parcel(n), 1));
    spool.journal().told(17);
    let in_flight: Vec<_> = (0..3).filter_map(|_| spool.pop()).collect();
    // Of three one is delivered.
    let mut in_flight = in_flight.into_iter();
    drop(in_flight.next());
    std::mem::forget((spool, in_flight.collect::<Vec<_>>()));

    let mut spool = open();
    assert_eq!((spool.left().waiting, spool.left().told), (9 + 6, Some(17)));
    // Killed again before the loss is reported.
    let told = spool.take_lost(|lost| {
        assert_eq!(lost, 15);
        Ok(parcel(99))
    });
    std::mem::forget((told, spool));
    let mut spool = open();
    assert_eq!(spool.left().waiting, 15);
    assert_eq!(lost(&mut spool), 15);
    assert_eq!(ids(&mut spool), numbers(10..14));
    assert_eq!(spool.save(), 0);
    assert_eq!((open().left().waiting, open().left().told), (0, Some(17)));
}

#[test]
fn a_journal_of_much_is_never_less_than_there_is_and_not_much_more() {
    let directory = Directory::new("journal");
    let open = || Spool::open(64 << 20, Some((directory.0.as_path(), 0))).expect("a spool");
    let mut spool = open();
    for n in 1..=3000u64 {
        spool.push(parcel(0), 1);
        let (_, left) = Journal::open(&directory.0).expect("a journal");
        assert!((n..=n + n / 7).contains(&left.waiting), "{n}: {left:?}");
    }
    for n in (0..3000u64).rev() {
        drop(spool.pop());
        let (_, left) = Journal::open(&directory.0).expect("a journal");
        assert!((n..=n + n / 7).contains(&left.waiting), "{n}: {left:?}");
    }
}

#[test]
fn what_a_full_directory_has_no_room_for_at_the_end_is_told_by_the_next_run() {
    let directory = Directory::new("full");
    let open = || Spool::open(1 << 20, Some((directory.0.as_path(), 2_500))).expect("a spool");
    let mut spool = open();
    (0..6).for_each(|n| spool.push(parcel(n), 1));
    assert_eq!(spool.save(), 4);
    let mut spool = open();
    assert_eq!(lost(&mut spool), 4);
    assert_eq!(ids(&mut spool), numbers(0..2));
}

#[test]
fn what_is_to_be_kept_is_kept_and_comes_in_its_turn() {
    let directory = Directory::new("kept");
    let open = || Spool::open(1 << 20, Some((directory.0.as_path(), 1 << 20))).expect("a spool");
    let mut spool = open();
    spool.push(parcel(0), 1);
    spool.push_kept(parcel(1), 1);
    spool.push(parcel(2), 1);
    assert_eq!(ids(&mut spool), numbers(0..3));
    spool.push(parcel(3), 1);
    spool.push_kept(parcel(4), 1);
    std::mem::forget(spool);
    let mut spool = open();
    assert_eq!((spool.left().waiting, lost(&mut spool)), (1, 1));
    assert_eq!(ids(&mut spool), numbers(4..5));
}
