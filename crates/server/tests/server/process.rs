//! The program as a process of its own.

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

/// The program with these arguments, and with no settings of whoever runs the test.
pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anywire"));
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ANYWIRE_")) {
        command.env_remove(name);
    }
    command
}

/// Runs the program to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    program(arguments).output().expect("the program runs")
}

pub(crate) fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A server as a process of its own; killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: Option<ChildStderr>,
    pub(crate) line: String,
    pub(crate) address: SocketAddr,
}

impl Process {
    /// Starts `serve` on an address (port 0 takes a free one) and waits until it is ready.
    pub(crate) fn serve(listen: &str, data: &Path, settings: &[&str]) -> Self {
        let data = data.display().to_string();
        let mut arguments = vec!["serve", "--listen", listen, "--data", &data, "--set", "stop_ms=2000"];
        arguments.extend(["--set", "restart_window_ms=0"]);
        settings.iter().for_each(|setting| arguments.extend(["--set", setting]));
        Self::spawn(program(&arguments))
    }

    /// Starts a command that becomes a server, and waits until it is ready.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("its output"));
        let mut stderr = child.stderr.take();
        let mut line = String::new();
        stdout.read_line(&mut line).expect("its output");
        let Some((_, address)) = line.trim_end().rsplit_once("://") else {
            let mut said = String::new();
            if let Some(stderr) = &mut stderr {
                stderr.read_to_string(&mut said).expect("its words");
            }
            panic!("no address in {line:?}; it said: {said}");
        };
        let address = address.parse().expect("an address");
        Self { child, stdout, stderr, line, address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next line it prints.
    pub(crate) fn next_line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("its output");
        line
    }

    /// What it says on its standard error, from its start.
    pub(crate) fn take_stderr(&mut self) -> ChildStderr {
        self.stderr.take().expect("nobody took it")
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().expect("a kill");
        self.child.wait().expect("its end");
    }

    pub(crate) fn terminate(&self) {
        kill_process(self.pid(), Signal::TERM).expect("a signal");
    }

    /// Waits for the end: the exit code, and what it printed after its first line.
    pub(crate) fn ended(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("its output");
        drop(self.stderr.take());
        (self.child.wait().expect("its end").code(), rest)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}
