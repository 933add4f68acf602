//! The cookie of a session. Under TLS it is called `__Host-anywire`, which browsers take only from the host
//! itself and send back only under TLS; without TLS browsers take no such name, so it is called `anywire`.

use anywire_access::SESSION_COOKIES;

use crate::decisions::SESSION_MAX_MS;

fn line(secure: bool, value: &str, age_s: u64) -> String {
    let [protected, plain] = SESSION_COOKIES;
    let (name, more) = if secure { (protected, "; Secure") } else { (plain, "") };
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={age_s}{more}")
}

/// The header that gives a browser its session.
pub(crate) fn set(secure: bool, value: &str) -> String {
    line(secure, value, SESSION_MAX_MS / 1000)
}

/// The header that takes it away.
pub(crate) fn clear(secure: bool) -> String {
    line(secure, "", 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_for_this_host_and_no_script() {
        let expected = "__Host-anywire=abc; Path=/; HttpOnly; SameSite=Lax; Max-Age=2592000; Secure";
        assert_eq!(set(true, "abc"), expected);
        assert_eq!(set(false, "abc"), "anywire=abc; Path=/; HttpOnly; SameSite=Lax; Max-Age=2592000");
        assert_eq!(clear(true), "__Host-anywire=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0; Secure");
    }
}
