//! Pickles as Python 3.11 writes them, and pickles as somebody with bad intentions would.

use super::*;

const BYTES_MAX: usize = 1 << 20;

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex digits"))
        .collect()
}

fn text(members: &[(String, Pickled)]) -> Vec<String> {
    let json = |value: &Value| {
        let mut out = String::new();
        match crate::value::write_json(value, &mut out, 0) {
            Ok(()) => out,
            Err(error) => error.to_string(),
        }
    };
    members
        .iter()
        .map(|(name, one)| format!("{name}{}={}", if one.tuple { "()" } else { "" }, json(&one.value)))
        .collect()
}

/// `pickle.dumps(…, protocol=P)` of
/// `{'method': 'emit', 'event': 'news', 'data': {…}, 'namespace': '/chat', 'room': 'news', …}`
const PROTOCOL_2: &str = "80027d71002858060000006d6574686f6471015804000000656d6974710258050000006576656e74710358040000006e657773710458040000006461746171057d7106285802000000696471074b015801000000667108473ff800000000000058010000007471098858010000006e710a4e58010000006c710b5d710c284b014afeffffff4a701101008a0600000000000165580100000073710d5803000000e1bb91710e7558090000006e616d657370616365710f58050000002f6368617471105804000000726f6f6d711168045808000000736b69705f73696471124e580800000063616c6c6261636b71134e5807000000686f73745f69647114582000000078787878787878787878787878787878787878787878787878787878787878787115752e";
const PROTOCOL_4: &str = "800495d5000000000000007d94288c066d6574686f64948c04656d6974948c056576656e74948c046e657773948c0464617461947d94288c026964944b018c016694473ff80000000000008c017494888c016e944e8c016c945d94284b014afeffffff4a701101008a06000000000001658c0173948c03e1bb9194758c096e616d657370616365948c052f63686174948c04726f6f6d9468048c08736b69705f736964944e8c0863616c6c6261636b944e8c07686f73745f6964948c20787878787878787878787878787878787878787878787878787878787878787894752e";
/// `pickle.dumps({'method': 'emit', 'event': 'e', 'data': (1, b'\x01\x02'), 'namespace': '/', 'room': None})`
const TUPLE: &str = "80049549000000000000007d94288c066d6574686f64948c04656d6974948c056576656e74948c0165948c0464617461944b01430201029486948c096e616d657370616365948c012f948c04726f6f6d944e752e";
/// The same with an object as data whose `__reduce__` asks for `os.system('true')`.
const CALL: &str = "80049546000000000000007d94288c066d6574686f64948c04656d6974948c056576656e74948c0165948c0464617461948c05706f736978948c0673797374656d9493948c04747275659485945294752e";

#[test]
fn what_python_pickled_is_read_in_every_protocol() {
    for pickled in [PROTOCOL_2, PROTOCOL_4] {
        let members = read_members(&bytes(pickled), BYTES_MAX).expect("plain values");
        let expected = [
            "method=\"emit\"",
            "event=\"news\"",
            r#"data={"id":1,"f":1.5,"t":true,"n":null,"l":[1,-2,70000,1099511627776],"s":"ố"}"#,
            "namespace=\"/chat\"",
            "room=\"news\"",
            "skip_sid=null",
            "callback=null",
            "host_id=\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"",
        ];
        assert_eq!(text(&members), expected);
    }
}

#[test]
fn a_tuple_is_told_from_a_list() {
    let members = read_members(&bytes(TUPLE), BYTES_MAX).expect("plain values");
    let data = &members.iter().find(|(name, _)| name == "data").expect("it is there").1;
    assert!(data.tuple);
    assert_eq!(data.value, Value::Array(vec![1.into(), Value::Binary(vec![1, 2])]));
}

#[test]
fn a_pickle_that_would_call_a_function_is_refused_at_its_instruction() {
    assert_eq!(read_members(&bytes(CALL), BYTES_MAX), Err(PickleError::Instruction(0x93)));
    // The old spelling: `c` module, name, `R`.
    assert_eq!(
        read_members(b"cposix\nsystem\n(S'true'\ntR.", BYTES_MAX),
        Err(PickleError::Instruction(b'c'))
    );
}

#[test]
fn no_cut_and_no_change_of_one_byte_does_harm() {
    for pickled in [PROTOCOL_2, PROTOCOL_4, TUPLE, CALL] {
        let whole = bytes(pickled);
        for length in 0..whole.len() {
            assert!(read_members(&whole[..length], BYTES_MAX).is_err(), "cut at {length}");
        }
        for at in 0..whole.len() {
            for change in 0..=u8::MAX {
                let mut changed = whole.clone();
                changed[at] = change;
                // Anything but a panic or a hang will do.
                let _read = read_members(&changed, BYTES_MAX);
            }
        }
    }
}

#[test]
fn a_small_pickle_does_not_grow_large() {
    // A text of 1000 bytes, remembered, then recalled again and again.
    let mut pickled = b"\x80\x04}(X\xe8\x03\x00\x00".to_vec();
    pickled.extend([b'x'; 1000]);
    pickled.extend(b"q\x00N");
    pickled.extend(b"h\x00N".repeat(100_000));
    pickled.extend(b"u.");
    assert_eq!(read_members(&pickled, BYTES_MAX), Err(PickleError::Large(BYTES_MAX)));
    // The same dictionary within itself, over and over.
    assert_eq!(read_members(b"\x80\x04}q\x00X\x01\x00\x00\x00ah\x00s.", BYTES_MAX), Err(PickleError::Shared));
}

#[test]
fn depth_has_an_end() {
    let nested = |levels: usize| {
        let mut pickled = b"\x80\x04}X\x01\x00\x00\x00a".to_vec();
        pickled.extend(b"]".repeat(levels));
        pickled.extend(b"a".repeat(levels - 1));
        pickled.extend(b"s.");
        pickled
    };
    assert!(read_members(&nested(DEPTH_MAX - 1), BYTES_MAX).is_ok());
    assert_eq!(read_members(&nested(DEPTH_MAX), BYTES_MAX), Err(PickleError::Deep));
    assert_eq!(read_members(&nested(200_000), BYTES_MAX), Err(PickleError::Deep));
}
