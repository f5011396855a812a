use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use super::*;
use crate::wire::uapi::{AF_INET, IPCTNL_MSG_CT_GET};

fn work() -> Work {
    Request::new(IPCTNL_MSG_CT_GET, 0, AF_INET).into()
}

fn place(queue: &Arc<Queue>) -> Place {
    Place::new(queue, work(), None, Waker::noop()).unwrap()
}

fn take(queue: &Queue, mut room: usize) -> Vec<Taken> {
    let mut taken = Vec::new();
    let admits = |_: &Request, _: Option<Subject>, _| {
        let admits = room > 0;
        room -= usize::from(admits);
        admits
    };
    queue.take(admits, |given, _| taken.push(given));
    taken
}

fn is_of(taken: &Taken, place: &Place) -> bool {
    Arc::ptr_eq(&taken.call, &place.call)
}

#[test]
fn a_million_that_are_dropped_leave_nothing() {
    let queue = Arc::new(Queue::default());
    let kept = place(&queue);
    for _ in 0..1000 {
        let places: Vec<_> = (0..1000).map(|_| place(&queue)).collect();
        assert!(queue.lock().waiting.len() < 2100);
        drop(places);
    }
    assert!(queue.has_unsent());
    assert!(queue.lock().waiting.len() <= 2 && queue.lock().waiting.capacity() < 100);
    drop(kept);
    assert!(!queue.has_unsent());
    assert!(queue.lock().waiting.is_empty());
}

#[test]
fn they_are_taken_in_their_order_and_answered() {
    let queue = Arc::new(Queue::default());
    let mut places: Vec<_> = (0..10).map(|_| place(&queue)).collect();
    places.remove(3);
    let mut taken = take(&queue, 4);
    taken.extend(take(&queue, 100));
    assert!(taken.len() == 9 && !queue.has_unsent());
    assert!(
        taken
            .iter()
            .zip(&places)
            .all(|(taken, place)| is_of(taken, place))
    );
    places.remove(1);
    assert!(!taken[1].is_wanted() && taken[2].is_wanted());
    let mut cx = Context::from_waker(Waker::noop());
    for (seq, taken) in (0..).zip(taken.drain(..3)) {
        taken.answer(Ok(Reply {
            seq,
            data: None,
            verdict: Verdict::of(0),
        }));
    }
    match places[1].poll(&mut cx) {
        Poll::Ready(Ok(reply)) => assert_eq!(reply.seq, 2),
        _ => panic!("no answer"),
    }
    assert!(places[2].poll(&mut cx).is_pending());
    let waiting = place(&queue);
    // The lane ends.
    drop(taken);
    queue.close();
    places.push(waiting);
    for mut place in places.drain(2..) {
        assert!(matches!(place.poll(&mut cx), Poll::Ready(Err(_))));
    }
    assert!(Place::new(&queue, work(), None, Waker::noop()).is_err());
}

/// A dropped request may contain something that locks the queue in its own drop.
#[test]
fn what_is_dropped_may_come_back() {
    struct Comes(#[expect(dead_code, reason = "dropped")] Place);
    impl Steps for Comes {
        fn next(&mut self, _: Reply) -> Step {
            Step::Done(Err(Error::closed()))
        }
    }
    let queue = Arc::new(Queue::default());
    let inner = place(&queue);
    let work = Work {
        steps: Some(Box::new(Comes(inner))),
        ..work()
    };
    let outer = Place::new(&queue, work, None, Waker::noop()).unwrap();
    drop(outer);
    assert!(queue.lock().waiting.is_empty());
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn one_alarm_wakes_all_that_wait() {
    let queue = Arc::new(Queue::default());
    let timeout = Duration::from_secs(30);
    // The second round sets a new timer.
    for _ in 0..2 {
        let all: Vec<_> = (0..10).map(|_| Arc::new(Wakes::default())).collect();
        let place = |wakes: &Arc<Wakes>| {
            let caller = Waker::from(Arc::clone(wakes));
            let place = Place::new(&queue, work(), None, &caller).unwrap();
            assert!(queue.is_watched(timeout));
            place
        };
        let mut places: Vec<_> = all.iter().map(place).collect();
        drop(places.pop());
        let woken = || all.iter().map(|wakes| wakes.0.load(Ordering::SeqCst));
        tokio::time::sleep(timeout - Duration::from_secs(1)).await;
        assert_eq!(woken().sum::<usize>(), 0);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(woken().take(9).all(|woken| woken == 1));
        assert_eq!(woken().next_back(), Some(0), "it does not wait any more");
    }
    // Callers in another runtime set their own timers, and leave the timer of this one alone.
    let place = Place::new(&queue, work(), None, Waker::noop()).unwrap();
    assert!(queue.is_watched(timeout));
    let elsewhere = Arc::clone(&queue);
    let other = std::thread::spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().build().unwrap();
        runtime.block_on(async { elsewhere.is_watched(timeout) })
    });
    assert!(!other.join().unwrap());
    assert!(queue.is_watched(timeout), "it is still set");
    drop(place);
    // Without a clock each caller has to set its own timer.
    let elsewhere = Arc::clone(&queue);
    let is_watched = std::thread::spawn(move || elsewhere.is_watched(timeout));
    assert!(!is_watched.join().unwrap());
}
