use proptest::prelude::*;

use super::*;

fn key(user: &str, endpoint: Endpoint) -> Key {
    let organization: OrganizationId = "acme".parse().unwrap();
    let user = user.parse().unwrap();
    let subject = Subject::Principal(Principal { organization: organization.clone(), user });
    Key { cluster: None, organization, subject, endpoint }
}

fn at(microseconds: i64) -> Timestamp {
    Timestamp::from_microseconds(microseconds).unwrap()
}

const START: i64 = 1_700_000_000 * SECOND;

#[test]
fn exactly_as_many_as_the_limit_are_accepted_and_the_next_when_the_oldest_leaves() {
    let limiter = RateLimiter::default();
    let key = key("alice", Endpoint::SignIn);
    for second in 0..5 {
        let (quota, outcome) = limiter.count(key.clone(), || at(START + second * SECOND));
        assert_eq!(outcome, Ok(()));
        let remaining = 4 - usize::try_from(second).unwrap();
        assert_eq!(quota, Quota { limit: 5, remaining, reset: 1_700_000_060 });
    }
    let (quota, outcome) = limiter.count(key.clone(), || at(START + WINDOW - 1));
    assert_eq!(outcome, Err(Limited { retry_after: 1 }));
    assert_eq!(quota.remaining, 0);
    let (quota, outcome) = limiter.count(key.clone(), || at(START + WINDOW));
    assert_eq!(outcome, Ok(()));
    assert_eq!(quota, Quota { limit: 5, remaining: 0, reset: 1_700_000_061 });
    assert_eq!(limiter.count(key, || at(START + WINDOW)).1, Err(Limited { retry_after: 1 }));
}

#[test]
fn a_refused_request_is_not_counted() {
    let limiter = RateLimiter::default();
    let key = key("alice", Endpoint::SignIn);
    for _ in 0..100 {
        let _ = limiter.count(key.clone(), || at(START));
    }
    assert_eq!(limiter.count(key, || at(START + WINDOW)).0.remaining, 4);
}

#[test]
fn of_many_requests_at_once_no_more_than_the_limit_are_accepted() {
    let limiter = RateLimiter::default();
    let attempt =
        || (0..100).filter(|_| limiter.count(key("alice", Endpoint::List), || at(START)).1.is_ok()).count();
    let accepted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(attempt)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(accepted, 50);
}

#[test]
fn keys_are_counted_apart() {
    let limiter = RateLimiter::default();
    let alice = key("alice", Endpoint::SignIn);
    for _ in 0..5 {
        assert_eq!(limiter.count(alice.clone(), || at(START)).1, Ok(()));
    }
    let elsewhere = Key { cluster: Some("west".to_owned()), ..alice.clone() };
    let organization = Key { organization: "other".parse().unwrap(), ..alice.clone() };
    let endpoint = Key { endpoint: Endpoint::List, ..alice.clone() };
    for other in [key("bob", Endpoint::SignIn), elsewhere, organization, endpoint] {
        assert_eq!(limiter.count(other, || at(START)).1, Ok(()));
    }
    assert!(limiter.count(alice, || at(START)).1.is_err());
}

#[test]
fn looking_counts_nothing_and_leaves_nothing_behind() {
    let limiter = RateLimiter::default();
    let quota = limiter.look(&key("alice", Endpoint::List), at(START + 1));
    assert_eq!(quota, Quota { limit: 50, remaining: 50, reset: 1_700_000_001 });
    assert_eq!(quota, Quota::untouched(Endpoint::List, at(START + 1)));
    assert!(limiter.counted.lock().unwrap().windows.is_empty());
}

#[test]
fn idle_keys_are_forgotten() {
    let limiter = RateLimiter::default();
    for user in 0..1000 {
        let _ = limiter.count(key(&user.to_string(), Endpoint::List), || at(START));
    }
    let _ = limiter.count(key("late", Endpoint::List), || at(START + WINDOW));
    assert_eq!(limiter.counted.lock().unwrap().windows.len(), 1);
}

#[test]
fn a_clock_that_is_set_back_blocks_nobody_for_longer_than_a_window() {
    let limiter = RateLimiter::default();
    let key = key("alice", Endpoint::SignIn);
    for _ in 0..5 {
        let _ = limiter.count(key.clone(), || at(START));
    }
    let earlier = START - 3600 * SECOND;
    assert_eq!(limiter.count(key.clone(), || at(earlier)).1, Err(Limited { retry_after: 60 }));
    assert_eq!(limiter.count(key, || at(earlier + WINDOW)).1, Ok(()));
}

/// Mostly bursts, so that limits are reached; and whole seconds, so that requests come exactly when the window ends.
fn step() -> impl Strategy<Value = i64> {
    prop_oneof![2 => Just(0), 1 => 0..1000_i64, 1 => (0..30_i64).prop_map(|seconds| seconds * SECOND)]
}

proptest! {
    #[test]
    fn no_sixty_seconds_see_more_than_the_limit_and_nobody_is_refused_without_need(
        steps in prop::collection::vec((step(), any::<bool>()), 1..200),
    ) {
        let limiter = RateLimiter::default();
        let mut now = START;
        let mut accepted: HashMap<&str, Vec<i64>> = HashMap::new();
        for (step, alice) in steps {
            now += step;
            let user = if alice { "alice" } else { "bob" };
            let times = accepted.entry(user).or_default();
            let recent = times.iter().filter(|&&time| now - time < WINDOW).count();
            let (quota, outcome) = limiter.count(key(user, Endpoint::SignIn), || at(now));
            prop_assert_eq!(outcome.is_ok(), recent < 5);
            if let Err(Limited { retry_after }) = outcome {
                let fifth_last = times[times.len() - 5];
                let then = now + i64::try_from(retry_after).unwrap() * SECOND;
                prop_assert!(fifth_last + WINDOW <= then && then < fifth_last + WINDOW + SECOND);
            } else {
                times.push(now);
            }
            let counted = recent + usize::from(outcome.is_ok());
            prop_assert_eq!(quota.remaining, 5 - counted);
            let oldest = times[times.len() - counted];
            prop_assert!(quota.reset * SECOND >= oldest + WINDOW && (quota.reset - 1) * SECOND < oldest + WINDOW);
        }
    }
}
