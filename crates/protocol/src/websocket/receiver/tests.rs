//! What a receiver makes of bytes: RFC 6455's examples, every rule, and every cut of recorded sessions.

use super::*;
use crate::websocket::recordings::{self, Item, client_frame};

const LIMITS: Limits = Limits { message_bytes_max: 70_000 };

/// Feeds `pieces` and gives back what came out.
fn receive(pieces: &[&[u8]], limits: &Limits) -> (Vec<Item>, Result<(), Violation>, Receiver) {
    let mut receiver = Receiver::new();
    let mut items = Vec::new();
    let mut outcome = Ok(());
    for piece in pieces {
        let now = receiver.receive(&mut piece.to_vec(), limits, &mut |item| items.push(Item::from(item)));
        outcome = outcome.and(now);
    }
    (items, outcome, receiver)
}

fn check(bytes: &[u8], expected: &[Item], outcome: Result<(), (u16, &str)>) {
    let (items, result, _) = receive(&[bytes], &LIMITS);
    assert_eq!(items, expected, "{bytes:02x?}");
    assert_eq!(result.map_err(|violation| (violation.close_code, violation.reason)), outcome, "{bytes:02x?}");
}

fn check_refused(bytes: &[u8], close_code: u16, reason: &str) {
    check(bytes, &[], Err((close_code, reason)));
}

fn text(text: &str) -> Item {
    Item::Text(text.into())
}

#[test]
fn a_receiver_is_at_most_64_bytes() {
    assert!(size_of::<Receiver>() <= 64, "{}", size_of::<Receiver>());
}

#[test]
fn client_frames_of_rfc_6455_section_5_7_are_read() {
    check(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", &[text("Hello")], Ok(()));
    check(b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", &[Item::Pong(b"Hello".to_vec())], Ok(()));
}

#[test]
fn unmasked_frames_of_rfc_6455_section_5_7_are_refused_from_a_client() {
    for bytes in [&b"\x81\x05Hello"[..], b"\x01\x03Hel", b"\x89\x05Hello", b"\x82\x7e\x01\x00"] {
        check_refused(bytes, 1002, "frame is not masked");
    }
}

#[test]
fn a_whole_frame_is_handed_out_where_it_lies() {
    let mut input = client_frame(0x81, b"Hello");
    let range = input.as_ptr_range();
    let mut seen = false;
    let outcome = Receiver::new().receive(&mut input, &LIMITS, &mut |item| {
        let Received::Text(text) = item else { panic!("{item:?}") };
        seen = range.contains(&text.as_ptr());
    });
    assert_eq!((outcome, seen), (Ok(()), true));
}

#[test]
fn fragments_become_one_message_and_control_frames_may_come_between() {
    let bytes = [
        client_frame(0x01, b"Hel"),
        client_frame(0x89, b"?"),
        client_frame(0x00, b""),
        client_frame(0x8a, b"!"),
        client_frame(0x80, b"lo"),
    ]
    .concat();
    check(&bytes, &[Item::Ping(b"?".to_vec()), Item::Pong(b"!".to_vec()), text("Hello")], Ok(()));
}

#[test]
fn fragments_are_kept_in_their_order() {
    check_refused(&client_frame(0x80, b"lo"), 1002, "continuation without a message");
    let bytes = [client_frame(0x01, b"Hel"), client_frame(0x81, b"lo")].concat();
    check_refused(&bytes, 1002, "new message inside a fragmented one");
    let bytes = [client_frame(0x01, b"Hel"), client_frame(0x80, b"lo"), client_frame(0x80, b"!")].concat();
    check(&bytes, &[text("Hello")], Err((1002, "continuation without a message")));
}

#[test]
fn a_message_over_the_limit_is_refused_at_its_header() {
    let limits = Limits { message_bytes_max: 10 };
    let whole = client_frame(0x82, &[0; 11]);
    let fragmented = [client_frame(0x02, &[0; 6]), client_frame(0x80, &[0; 5])].concat();
    for bytes in [&whole[..6], &fragmented[..6 + 6 + 6]] {
        let (items, outcome, receiver) = receive(&[bytes], &limits);
        assert_eq!((items, outcome.map_err(|violation| violation.close_code)), (vec![], Err(1009)));
        assert_eq!(receiver.buffer.capacity(), 0);
    }
    let exact =
        [client_frame(0x02, &[0; 6]), client_frame(0x89, &[0; 100]), client_frame(0x80, &[0; 4])].concat();
    let (items, outcome, _) = receive(&[&exact], &limits);
    assert_eq!((items.len(), outcome), (2, Ok(())), "control frames don't count");
}

#[test]
fn a_claimed_length_reserves_no_memory() {
    let limits = Limits { message_bytes_max: usize::MAX };
    let header = b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00some bytes";
    let (items, outcome, receiver) = receive(&[header], &limits);
    assert_eq!((items, outcome), (vec![], Ok(())));
    assert!(receiver.buffer.capacity() <= 64);
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    for bad in [&b"\xff"[..], b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"abc\xce"] {
        check_refused(&client_frame(0x81, bad), 1007, "text is not UTF-8");
        check(&client_frame(0x82, bad), &[Item::Binary(bad.to_vec())], Ok(()));
    }
}

#[test]
fn text_is_refused_at_the_first_byte_that_cannot_be_utf8() {
    let frame = client_frame(0x81, b"\xce\xba\xf4\x90 and much more");
    let bad_at = 6 + 4;
    for cut in 0..frame.len() {
        let (_, outcome, _) = receive(&[&frame[..cut]], &LIMITS);
        assert_eq!(outcome.is_err(), cut >= bad_at, "after {cut} bytes");
    }
}

#[test]
fn a_character_may_be_cut_by_fragments_but_must_end_with_the_message() {
    let cut =
        [client_frame(0x01, b"\xf0\x9f"), client_frame(0x00, b"\x98"), client_frame(0x80, b"\x80")].concat();
    check(&cut, &[text("😀")], Ok(()));
    let open = [client_frame(0x01, b"\xf0\x9f"), client_frame(0x80, b"\x98")].concat();
    check_refused(&open, 1007, "text is not UTF-8");
    let empty_end = [client_frame(0x01, b"\xf0"), client_frame(0x80, b"")].concat();
    check_refused(&empty_end, 1007, "text is not UTF-8");
}

#[test]
fn a_control_frame_holds_125_bytes_at_most() {
    check(&client_frame(0x89, &[7; 125]), &[Item::Ping(vec![7; 125])], Ok(()));
    check_refused(&client_frame(0x89, &[7; 126]), 1002, "control frame is longer than 125 bytes");
}

#[test]
fn a_close_is_checked() {
    check(&client_frame(0x88, b""), &[Item::Close(None, String::new())], Ok(()));
    check(&client_frame(0x88, b"\x03\xe8bye"), &[Item::Close(Some(1000), "bye".into())], Ok(()));
    check_refused(&client_frame(0x88, b"\x03"), 1002, "close payload is one byte");
    for code in [0_u16, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535] {
        check_refused(&client_frame(0x88, &code.to_be_bytes()), 1002, "close code is not allowed");
    }
    check_refused(&client_frame(0x88, b"\x03\xe8\xce"), 1007, "close reason is not UTF-8");
}

#[test]
fn nothing_is_read_after_a_close_or_a_violation() {
    let message = client_frame(0x81, b"late");
    for end in [client_frame(0x88, b""), client_frame(0x83, b"")] {
        let (before, _, _) = receive(&[&end], &LIMITS);
        let (items, _, receiver) = receive(&[&[end, message.clone()].concat(), &message], &LIMITS);
        assert_eq!(items, before);
        assert!(receiver.is_closed());
    }
}

#[test]
fn what_is_here_of_a_message_is_counted_until_it_is_whole() {
    let mut receiver = Receiver::new();
    let limits = Limits { message_bytes_max: 1000 };
    let mut frame = vec![0x82, 0x80 | 126, 1, 0, 0, 0, 0, 0];
    frame.extend([0; 255]);
    receiver.receive(&mut frame, &limits, &mut |_| panic!("a byte is missing")).expect("sound");
    assert!(receiver.kept_bytes() >= 255);
    let mut taken = false;
    receiver.receive(&mut [0], &limits, &mut |_| taken = true).expect("sound");
    assert!(taken && receiver.kept_bytes() == 0);
}

#[test]
fn between_messages_a_receiver_owns_no_heap_memory() {
    for session in recordings::sessions() {
        for cut in 0..=session.bytes.len() {
            let (left, right) = session.bytes.split_at(cut);
            let (_, _, receiver) = receive(&[left, right], &LIMITS);
            assert_eq!(receiver.buffer.capacity(), 0, "{} cut at {cut}", session.name);
        }
    }
}

#[test]
fn every_cut_of_a_recorded_session_gives_the_written_out_items() {
    for session in recordings::sessions() {
        let expected = (session.items.clone(), session.outcome);
        for cut in 0..=session.bytes.len() {
            let (left, right) = session.bytes.split_at(cut);
            let (items, outcome, _) = receive(&[left, right], &LIMITS);
            assert_eq!((items, outcome), expected, "{} cut at {cut}", session.name);
        }
        for size in [1, 2, 3, 7] {
            let pieces: Vec<&[u8]> = session.bytes.chunks(size).collect();
            let (items, outcome, _) = receive(&pieces, &LIMITS);
            assert_eq!((items, outcome), expected, "{} in pieces of {size}", session.name);
        }
    }
}

#[test]
fn every_two_cuts_of_a_short_session_give_the_written_out_items() {
    for session in recordings::sessions().into_iter().filter(|session| session.bytes.len() < 200) {
        let bytes = &session.bytes;
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                let (items, outcome, _) = receive(&pieces, &LIMITS);
                assert_eq!(
                    (&items, outcome),
                    (&session.items, session.outcome),
                    "{} cut at {first}, {second}",
                    session.name
                );
            }
        }
    }
}

#[test]
fn every_length_form_survives_a_round_trip() {
    for len in [0, 1, 125, 126, 127, 65_535, 65_536] {
        let payload = vec![b'x'; len];
        let (items, outcome, _) = receive(&[&client_frame(0x81, &payload)], &LIMITS);
        assert_eq!((items, outcome), (vec![Item::Text("x".repeat(len))], Ok(())), "{len}");
    }
}
