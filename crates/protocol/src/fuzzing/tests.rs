//! Every promise over the seeds in `/fuzz/seeds` and over mutations of them.

use super::smoke::check;

const MUTATIONS: usize = 5_000;

#[test]
fn a_receiver_keeps_its_promises_for_any_bytes() {
    check("websocket", MUTATIONS, super::websocket);
}

#[test]
fn a_client_frame_keeps_its_promises_for_any_text() {
    check("client_frame", MUTATIONS, super::client_frame);
}

#[test]
fn a_publication_keeps_its_promises_for_any_bytes() {
    check("publish", MUTATIONS, super::publish);
}

#[test]
fn a_request_head_keeps_its_promises_for_any_bytes() {
    check("request_head", MUTATIONS, super::request_head);
}

#[test]
fn names_keep_their_promises_for_any_text() {
    check("names", MUTATIONS, super::names);
}

#[test]
fn an_engineio_request_and_payload_keep_their_promises_for_any_text() {
    check("engineio", MUTATIONS, super::engineio);
}

#[test]
fn a_socketio_packet_keeps_its_promises_for_any_text() {
    check("socketio", MUTATIONS, super::socketio);
}
