//! `anywire run` does not stand between a command and whoever sits at it: every byte, every key, the
//! window and the status are the command's own.

use std::{
    io::{Read, Write},
    process::Stdio,
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use pty_process::{
    Size,
    blocking::{Command, Pty},
};

use crate::{
    process::{Process, program},
    runs::{get, until},
};

fn serve(data: &tempfile::TempDir) -> Process {
    Process::serve("127.0.0.1:0", data.path(), &[])
}

/// What a script writes with us in between, and its status, given what it reads.
fn piped(server: &Process, script: &str, input: Vec<u8>) -> (Vec<u8>, Vec<u8>, Option<i32>) {
    let mut child = program(&["run", "--url", &server.url(), "--", "sh", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let writing = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("it ends");
    writing.join().expect("no panic");
    (output.stdout, output.stderr, output.status.code())
}

/// The job that is the newest on the server, once it stands so.
fn job(server: &Process, status: &str) -> serde_json::Value {
    until(status, || {
        let jobs = get(server, "/api/jobs?limit=1");
        (jobs["jobs"][0]["status"] == status).then(|| jobs["jobs"][0].clone())
    })
}

#[test]
fn bytes_pass_through_untouched_and_the_status_is_passed_on() {
    let data = tempfile::tempdir().expect("a directory");
    let server = serve(&data);
    let script = r#"printf '\033[31mred\033[0m\n\n\n'; head -c 100000 /dev/zero | tr '\0' x; printf '\r\n'
        printf '\377\000\200\n  trailing  \nno end'; printf 'err\n\n\033[1mbold' >&2; exit 42"#;
    let (stdout, stderr, status) = piped(&server, script, Vec::new());
    let mut expected = b"\x1b[31mred\x1b[0m\n\n\n".to_vec();
    expected.extend(vec![b'x'; 100_000]);
    expected.extend(b"\r\n\xff\x00\x80\n  trailing  \nno end");
    assert!(stdout == expected, "{} bytes and not {}", stdout.len(), expected.len());
    let own = stderr.iter().position(|byte| *byte == b'\n').expect("the line with the link") + 1;
    assert!(stderr[own..].starts_with(b"err\n\n\x1b[1mbold"), "{:?}", String::from_utf8_lossy(&stderr));
    assert_eq!(status, Some(42));
    assert_eq!(piped(&server, "kill -TERM $$", Vec::new()).2, Some(128 + 15));
}

#[test]
fn what_comes_in_reaches_the_command_to_its_end() {
    let data = tempfile::tempdir().expect("a directory");
    let server = serve(&data);
    let input: Vec<u8> = (0..1_000_000_u32).map(|number| (number % 251) as u8).collect();
    let (stdout, _, status) = piped(&server, "cat", input.clone());
    assert!(stdout == input, "{} bytes and not {}", stdout.len(), input.len());
    assert_eq!(status, Some(0));
}

#[test]
fn who_stops_reading_ends_the_command_as_without_us() {
    let data = tempfile::tempdir().expect("a directory");
    let server = serve(&data);
    let mut child = program(&["run", "--url", &server.url(), "--", "yes"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it runs");
    let mut first = [0; 2];
    child.stdout.take().expect("a pipe").read_exact(&mut first).expect("bytes");
    assert_eq!((&first, child.wait().expect("it ends").code()), (b"y\n", Some(128 + 13)));
}

/// `anywire run` at a terminal.
struct AtTerminal {
    pty: Pty,
    child: std::process::Child,
    shown: Arc<Mutex<Vec<u8>>>,
    reading: JoinHandle<()>,
}

impl AtTerminal {
    fn start(server: &Process, script: &str) -> Self {
        let (pty, pts) = pty_process::blocking::open().expect("a terminal");
        pty.resize(Size::new(40, 123)).expect("a size");
        let command = Command::new(env!("CARGO_BIN_EXE_anywire")).args([
            "run",
            "--url",
            &server.url(),
            "--",
            "sh",
            "-c",
            script,
        ]);
        let child = command.spawn(pts).expect("it runs");
        let shown = Arc::<Mutex<Vec<u8>>>::default();
        let (all, screen) =
            (shown.clone(), std::os::fd::AsFd::as_fd(&pty).try_clone_to_owned().expect("a copy"));
        let reading = std::thread::spawn(move || {
            let mut screen = std::fs::File::from(screen);
            let mut chunk = [0; 4096];
            // It ends with an error once nobody writes any more.
            while let Ok(count @ 1..) = screen.read(&mut chunk) {
                all.lock().expect("no panic").extend(&chunk[..count]);
            }
        });
        Self { pty, child, shown, reading }
    }

    fn until_shown(&self, text: &str) {
        until(text, || self.text().contains(text).then_some(()));
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().expect("no panic")).into_owned()
    }

    fn press(&mut self, keys: &[u8]) {
        self.pty.write_all(keys).expect("pressed");
    }

    /// What was shown in all, and the status.
    fn end(mut self) -> (String, Option<i32>) {
        let status = until("the end", || self.child.try_wait().expect("known"));
        self.reading.join().expect("no panic");
        (String::from_utf8_lossy(&self.shown.lock().expect("no panic")).into_owned(), status.code())
    }
}

#[test]
fn at_a_terminal_the_command_has_one_of_its_own_with_its_keys_and_its_size() {
    let data = tempfile::tempdir().expect("a directory");
    let server = serve(&data);
    let script = r#"[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo terminal; stty size; printf '\033[32mname? \033[0m'
        read name; echo "hello $name"; while [ "$(stty size)" = "40 123" ]; do sleep 0.05; done; stty size
        read again; exit 7"#;
    let mut run = AtTerminal::start(&server, script);
    run.until_shown("\x1b[32mname? \x1b[0m");
    run.press(b"An\r");
    run.until_shown("hello An");
    run.pty.resize(Size::new(50, 90)).expect("a size");
    run.until_shown("50 90\r\n");
    run.press(b"\r");
    let (shown, status) = run.end();
    assert!(shown.contains("terminal\r\n40 123\r\n"), "{shown:?}");
    assert_eq!(status, Some(7));
    assert_eq!(job(&server, "failed")["kind"], "command");
}

#[test]
fn control_c_is_the_commands_own_and_cancels_the_job_if_it_ends_by_it() {
    let data = tempfile::tempdir().expect("a directory");
    let server = serve(&data);
    let mut run = AtTerminal::start(
        &server,
        "trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.05; done",
    );
    run.until_shown("ready");
    run.press(b"\x03");
    let (shown, status) = run.end();
    assert!(shown.contains("caught"), "{shown:?}");
    assert_eq!(status, Some(5));
    job(&server, "failed");
    let mut run = AtTerminal::start(&server, "echo ready; exec sleep 600");
    run.until_shown("ready");
    run.press(b"\x03");
    assert_eq!(run.end().1, Some(128 + 2));
    job(&server, "cancelled");
}
