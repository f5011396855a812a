use std::fs;

use super::*;

/// A directory that is gone at the end of the test.
struct Directory(std::path::PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("spool-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn files(&self) -> usize {
        fs::read_dir(&self.0).expect("the directory").count()
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
        payload: format!(r#"{{"n":{n},"filler":"{}"}}"#, "x".repeat(1000)).into_bytes(),
    }
}

fn ids(spool: &mut Spool) -> Vec<String> {
    std::iter::from_fn(|| spool.pop())
        .map(|waiting| waiting.parcel.id)
        .collect()
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
    assert_eq!(spool.take_lost(), 15 + 7);
    assert_eq!(spool.take_lost(), 0);
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
    let lost = spool.take_lost() as usize;
    let kept = ids(&mut spool);
    assert_eq!(kept, numbers(0..10_000 - lost));
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
    // Killed here, without a save.
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
    let path = fs::read_dir(&directory.0)
        .expect("files")
        .next()
        .expect("a file")
        .expect("a file");
    let bytes = fs::read(path.path()).expect("its bytes");
    fs::write(path.path(), &bytes[..bytes.len() - 20]).expect("written");
    let mut spool = Spool::open(0, Some((&directory.0, 1 << 20))).expect("a spool");
    assert_eq!(ids(&mut spool), numbers(0..2));
    assert_eq!(spool.take_lost(), 1);
}
