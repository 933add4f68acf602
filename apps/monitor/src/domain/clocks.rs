//! Whose clock says what: by how much the times of a host are moved to this server's, and where samples
//! belong that their own host's clock cannot have meant. Pure.

use super::sample::Sample;

/// How far a host's clock may be off before its times are moved to ours.
pub(crate) const CLOCK_SKEW_MS: i64 = 2000;

/// By how much a host's times are moved, now that its clock seems to be so far behind ours. What the way here
/// adds trembles: a shift that still fits stays, or a clock at the edge of what is let pass would jump to and
/// fro.
pub(crate) fn shift(before: i64, skew: i64) -> i64 {
    if skew.saturating_sub(before).saturating_abs() <= CLOCK_SKEW_MS {
        return before;
    }
    if skew.saturating_abs() > CLOCK_SKEW_MS { skew } else { 0 }
}

/// Moves samples that would be later than what came after them, or than the moment at which they were sent:
/// their clock was ahead when they were made, and went back before they were sent. Says how many.
///
/// Samples that follow each other are moved together, so that their distances stay.
pub(crate) fn move_before(samples: &mut [Sample], sent_at: i64) -> usize {
    let (mut moved, mut shift) = (0, 0);
    let (mut latest, mut room) = (sent_at, sent_at);
    for sample in samples.iter_mut().rev() {
        if sample.time > latest {
            if sample.time.saturating_add(shift) > latest {
                shift = room.saturating_sub(sample.time);
            }
            sample.time = sample.time.saturating_add(shift);
            moved += 1;
        }
        latest = sample.time;
        room = latest.saturating_sub(i64::from(sample.interval_ms));
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::{super::sample::tests::sample, *};

    #[test]
    fn a_clock_at_the_edge_of_what_is_let_pass_does_not_move_samples_to_and_fro() {
        let mut before = 0;
        let shifts = [10, 1990, 2010, 1990, 2100, 900, 5, -4000].map(|skew| {
            before = shift(before, skew);
            before
        });
        assert_eq!(shifts, [0, 0, 2010, 2010, 2010, 2010, 0, -4000]);
    }

    #[track_caller]
    fn check(times: &[i64], sent_at: i64, expected: &[i64]) {
        let mut samples: Vec<Sample> = times.iter().map(|time| sample(time * 1000, 1.0)).collect();
        let moved = move_before(&mut samples, sent_at * 1000);
        assert_eq!(samples.iter().map(|sample| sample.time / 1000).collect::<Vec<_>>(), expected);
        assert_eq!(moved, times.iter().zip(expected).filter(|(before, after)| before != after).count());
    }

    #[test]
    fn samples_of_a_clock_that_was_ahead_are_moved_to_where_they_came_between_the_others() {
        check(&[1, 2, 3], 3, &[1, 2, 3]);
        check(&[3600], 5, &[5]);
        check(&[1, 2, 3, 3604, 3605, 3606], 6, &[1, 2, 3, 4, 5, 6]);
        check(&[1, 2, 3603, 3604, 5, 6], 6, &[1, 2, 3, 4, 5, 6]);
        check(&[4, 4, 4], 4, &[4, 4, 4]);
    }
}
