//! The contract every engine must pass: `contract::check(&make)` in the engine's tests, and [`restart`] for
//! engines that survive one.

mod cases;
mod expect;
mod harness;
mod restart;

pub use harness::{Factory, Restart, Witness, publication, read_all, rules};

/// Runs the whole suite.
///
/// # Panics
/// When the engine breaks the contract, saying how.
pub async fn check(factory: &impl Factory) {
    cases::appended_events_come_back_in_order(factory).await;
    cases::a_batch_is_consecutive_and_told_before_it_is_answered(factory).await;
    cases::a_known_key_appends_nothing(factory).await;
    cases::retention_takes_the_oldest_and_names_it(factory).await;
    cases::a_trim_is_a_gap_for_those_behind_it_only(factory).await;
    cases::channels_do_not_see_each_other(factory).await;
    cases::concurrent_appends_are_told_in_offset_order(factory).await;
    cases::a_closed_engine_refuses(factory).await;
    cases::a_read_ends_where_it_was_told_to(factory).await;
    expect::a_batch_is_refused_if_its_channel_has_moved(factory).await;
    expect::what_is_gone_counts_as_seen_by_those_only_who_saw_it(factory).await;
    expect::a_repetition_is_known_before_what_it_expects_is_looked_at(factory).await;
    expect::of_writers_that_expect_the_same_one_wins(factory).await;
    expect::refused_batches_disturb_nothing_else(factory).await;
}

/// What a restart keeps, for engines that survive one.
///
/// # Panics
/// When the engine breaks the contract, saying how.
pub async fn restart(factory: &impl Restart) {
    restart::what_was_committed_is_kept(factory).await;
    restart::what_a_batch_may_expect_is_the_same(factory).await;
}
