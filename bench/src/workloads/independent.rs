//! Many locks that have nothing to do with each other, each taken and given back all the time.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use crate::contenders::{Independent, Name};
use crate::plan::Plan;
use crate::results::{Results, Shot, Work};
use crate::stage::{Entrant, Observer, Stage};

/// A figure takes at least so long, if so many times as many cycles as are planned are enough for that: a tenth of a second has more
/// of the beginning and the end in it than of what is in between.
const FIGURE: Duration = Duration::from_millis(400);
const MORE_MAX: usize = 20;

/// From so many locks on it is a crowd, which takes its time.
const CROWD: usize = 1_000;

pub(super) async fn run(stage: &mut Stage, plan: &Plan, results: &mut Results) {
    let slowest = plan.links.iter().copied().max();
    for of in plan.independent.iter().copied() {
        let Independent { locks, sessions } = of;
        let is_crowd = locks >= CROWD;
        // A crowd keeps the processors busy whatever the link, so the links between tell nothing new.
        let links = plan.links.iter().copied().filter(|link| !is_crowd || !link.is_slow() || Some(*link) == slowest);
        for link in links {
            let cycles = match (is_crowd, link.is_slow()) {
                (true, _) => 1,
                (false, false) => plan.cycles.div_ceil(2),
                (false, true) => plan.cycles.div_ceil(4),
            };
            // Found out in the first round, which is not counted.
            let suitable = RefCell::new(HashMap::new());
            let shoot = async |entrant: &mut Entrant, _: &Observer| {
                let lock = entrant.lock(&format!("i{locks}-{sessions}"));
                let mut cycles = cycles;
                if plan.warm_up > 0 {
                    if !suitable.borrow().contains_key(&entrant.name) {
                        // The first time of all is slower than any other.
                        entrant.contender.independent(&lock, of, cycles).await?;
                        let took = entrant.contender.independent(&lock, of, cycles).await?;
                        let more = FIGURE.as_nanos().div_ceil(took.as_nanos().max(1));
                        let more = usize::try_from(more).map_or(MORE_MAX, |more| more.min(MORE_MAX));
                        suitable.borrow_mut().insert(entrant.name, more);
                    }
                    cycles *= more_of(entrant.name, &suitable.borrow());
                }
                let took = entrant.contender.independent(&lock, of, cycles).await?;
                Ok(Some(Shot::new(took / u32::try_from(locks * cycles).unwrap_or(u32::MAX), vec![])))
            };
            stage.rounds((Work::Independent(of), link), plan.rounds, true, results, shoot).await;
        }
    }
}

/// So many times as many cycles. The same for all that are libraries: the floor is among them, which others are judged by, and with fewer
/// cycles there is more of the beginning and the end in a figure.
fn more_of(name: Name, suitable: &HashMap<Name, usize>) -> usize {
    let of = |name| suitable.get(&name).copied();
    let libraries = Name::LIBRARIES.into_iter().filter_map(of).max();
    let more = if Name::LIBRARIES.contains(&name) { libraries } else { of(name) };
    more.unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_compared_with_the_floor_does_as_much_as_the_floor() {
        let suitable = HashMap::from([(Name::Floor, 4), (Name::Fairlock, 3), (Name::Kazoo, 1)]);
        let more = [Name::Floor, Name::Fairlock, Name::Kazoo, Name::Curator].map(|name| more_of(name, &suitable));
        assert_eq!(more, [4, 4, 1, 1]);
    }
}
