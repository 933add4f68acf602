//! What is counted of people, for the metrics page.

use std::sync::atomic::Ordering::Relaxed;

use anywire_app::Metric;

use crate::service::PeopleService;

/// All metrics of the application.
pub(crate) fn of(service: &PeopleService) -> Vec<Metric> {
    let (users, keys, sessions) = {
        let state = service.read();
        (state.users().len(), state.keys().len(), state.sessions().len())
    };
    let counters = &service.counters;
    vec![
        Metric::gauge("anywire_access_users", "Accounts, disabled ones included.", users as u64),
        Metric::gauge("anywire_access_keys", "API keys that were made while the server ran.", keys as u64),
        Metric::gauge("anywire_access_sessions", "Sessions at the console.", sessions as u64),
        Metric::counter(
            "anywire_access_sign_ins",
            "Sessions that were begun.",
            counters.sign_ins.load(Relaxed),
        ),
        Metric::counter(
            "anywire_access_refused",
            "Passwords that were wrong.",
            counters.refused.load(Relaxed),
        ),
        Metric::counter(
            "anywire_access_limited",
            "Passwords that were not looked at, because too many had been tried.",
            counters.limited.load(Relaxed),
        ),
    ]
}
