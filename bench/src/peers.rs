//! The servers that are compared: the floor, Anywire, and what a user would otherwise pick.

use crate::child::{Plan, Running, Scratch};
use crate::failure::{Context, Failure, Outcome};
use crate::machine;
use crate::process::Processes;
use serde::{Deserialize, Serialize};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a server may take until it is ready.
const READY_WAIT: Duration = Duration::from_secs(30);
/// No ping falls into a round: Socket.IO on Node is set up alike (peers/socket.io.mjs).
const RARE_PINGS: [&str; 4] =
    ["--set", "socketio.ping_interval_ms=300000", "--set", "socketio.ping_timeout_ms=300000"];
/// Where distributions put Nchan.
const NCHAN_MODULES: [&str; 3] = [
    "/usr/lib/nginx/modules/ngx_nchan_module.so",
    "/usr/lib64/nginx/modules/ngx_nchan_module.so",
    "/usr/local/lib/nginx/modules/ngx_nchan_module.so",
];

/// A server to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Peer {
    /// Writes ready bytes and does nothing else.
    Floor,
    /// This project.
    Anywire,
    /// nginx with the Nchan module.
    Nchan,
    /// The `ws` package on Node.
    Ws,
    /// Socket.IO on Node.
    Socketio,
}

/// A way to subscribe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Transport {
    /// WebSocket.
    Websocket,
    /// Server-sent events over HTTP/1.1.
    Sse,
    /// One pending request at a time.
    Longpoll,
    /// Socket.IO over a WebSocket.
    Socketio,
    /// Socket.IO over polling.
    #[value(name = "socketio-polling")]
    #[serde(rename = "socketio-polling")]
    SocketioPolling,
}

impl Transport {
    pub(crate) const ALL: [Self; 5] =
        [Self::Websocket, Self::Sse, Self::Longpoll, Self::Socketio, Self::SocketioPolling];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Websocket => "websocket",
            Self::Sse => "sse",
            Self::Longpoll => "longpoll",
            Self::Socketio => "socketio",
            Self::SocketioPolling => "socketio-polling",
        }
    }

    /// Whether Socket.IO clients connect.
    pub(crate) fn is_socketio(self) -> bool {
        matches!(self, Self::Socketio | Self::SocketioPolling)
    }

    /// Whether a subscriber asks for each answer.
    pub(crate) fn is_polled(self) -> bool {
        matches!(self, Self::Longpoll | Self::SocketioPolling)
    }
}

/// A server that runs. Dropping it ends it and removes its data.
#[derive(Debug)]
pub(crate) struct Server {
    // Before the folder: the process goes first.
    running: Running,
    folder: Scratch,
    peer: Peer,
    pub(crate) address: String,
    pub(crate) processes: Processes,
}

/// What is the same for every server of a run.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) transport: Transport,
    pub(crate) processor: Option<usize>,
    /// Clients come back for what they missed: Socket.IO on Node keeps it for them only if it is told to.
    pub(crate) recovery: bool,
    /// The `anywire` binary, if not the one beside this one.
    pub(crate) anywire: Option<PathBuf>,
    /// More arguments for `anywire serve`.
    pub(crate) anywire_arguments: Vec<String>,
}

impl Peer {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Anywire => "anywire",
            Self::Nchan => "nchan",
            Self::Ws => "ws",
            Self::Socketio => "socketio",
        }
    }

    /// Whether the server has this transport.
    pub(crate) fn speaks(self, transport: Transport) -> bool {
        match self {
            Self::Floor | Self::Anywire => true,
            Self::Nchan => !transport.is_socketio(),
            Self::Ws => transport == Transport::Websocket,
            Self::Socketio => transport == Transport::Websocket || transport.is_socketio(),
        }
    }

    /// Starts the server on a free port and waits until it takes connections.
    ///
    /// # Errors
    /// If it is not installed (with how to install it) or does not start.
    pub(crate) fn start(self, setting: &Setting) -> Outcome<Server> {
        let folder = Scratch::new(self.name())?;
        let address = free_address()?;
        let running = self.launch(setting, &address, folder.path())?;
        let processes = Processes::of(running.id());
        Ok(Server { running, folder, peer: self, address, processes })
    }

    fn launch(self, setting: &Setting, address: &str, folder: &Path) -> Outcome<Running> {
        let running = self.plan(setting, address, folder)?.start()?;
        match self {
            Self::Nchan => wait_for_worker(&running, address)?,
            _ => running.wait_for(READY_WAIT, |line| line.contains("http://").then_some(()))?,
        }
        Ok(running)
    }

    fn plan(self, setting: &Setting, address: &str, folder: &Path) -> Outcome<Plan> {
        let (program, arguments) = match self {
            Self::Floor => floor_command(setting, address)?,
            Self::Anywire => anywire_command(setting, address, folder)?,
            Self::Nchan => nginx_command(address, folder)?,
            Self::Ws => node_command("ws", "ws.mjs", address)?,
            Self::Socketio if setting.recovery => {
                node_command("socket.io", "socket.io-recovery.mjs", address)?
            }
            Self::Socketio => node_command("socket.io", "socket.io.mjs", address)?,
        };
        let gentle = self == Self::Nchan;
        Ok(Plan { name: self.name().into(), program, arguments, processor: setting.processor, gentle })
    }
}

impl Server {
    /// Kills the server as a crash would and starts it again on the same address, and on the same data if it
    /// keeps any.
    pub(crate) fn crash_and_restart(&mut self, setting: &Setting) -> Outcome<()> {
        self.running.kill();
        self.running = self.peer.launch(setting, &self.address, self.folder.path())?;
        self.processes = Processes::of(self.running.id());
        Ok(())
    }
}

/// An address nobody listens on. Somebody might before the server does; then its start fails and says so.
fn free_address() -> Outcome<String> {
    let listener = TcpListener::bind("127.0.0.1:0").context("cannot find a free port")?;
    Ok(listener.local_addr().context("a listener has no address")?.to_string())
}

/// nginx says nothing when it is ready; its master listens before the worker is there.
fn wait_for_worker(running: &Running, address: &str) -> Outcome<()> {
    let address: SocketAddr = address.parse().context("not an address")?;
    let until = Instant::now() + READY_WAIT;
    while Instant::now() < until {
        let works = Processes::of(running.id()).count() > 1;
        if works && TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(Failure::new(format!(
        "nothing listens on {address}; see nchan.log in {}",
        machine::bench_folder().display()
    )))
}

fn floor_command(setting: &Setting, address: &str) -> Outcome<(PathBuf, Vec<String>)> {
    let own = std::env::current_exe().context("cannot find this program's own file")?;
    Ok((own, words(&["floor", "--listen", address, "--transport", setting.transport.name()])))
}

fn anywire_command(setting: &Setting, address: &str, data: &Path) -> Outcome<(PathBuf, Vec<String>)> {
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name("anywire"));
    let program =
        setting.anywire.clone().or(beside).filter(|path| path.is_file()).ok_or_else(|| {
            Failure::new("not built: cargo build --release --bin anywire, or --anywire PATH")
        })?;
    let mut arguments = words(&["serve", "--listen", address, "--data", &data.display().to_string()]);
    if setting.transport.is_socketio() {
        arguments.extend(words(&RARE_PINGS));
    }
    arguments.extend(setting.anywire_arguments.iter().cloned());
    Ok((program, arguments))
}

fn nginx_command(address: &str, folder: &Path) -> Outcome<(PathBuf, Vec<String>)> {
    let missing = || Failure::new("not installed: apt install nginx libnginx-mod-nchan");
    let program = find_program("nginx").ok_or_else(missing)?;
    let module = NCHAN_MODULES.iter().find(|path| Path::new(path).is_file()).ok_or_else(missing)?;
    let file = folder.join("nginx.conf");
    std::fs::write(&file, nginx_conf(module, address, folder)).context("cannot write nginx.conf")?;
    let text = |path: &Path| path.display().to_string();
    Ok((program, words(&["-p", &text(folder), "-c", &text(&file), "-e", "stderr"])))
}

fn nginx_conf(module: &str, address: &str, folder: &Path) -> String {
    // As root, workers would turn into a user who may not enter the folder.
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    let folder = folder.display();
    format!(
        "load_module {module};\n{user}\ndaemon off;\nworker_processes 1;\nworker_rlimit_nofile 20000;\n\
         pid {folder}/nginx.pid;\nerror_log stderr error;\nevents {{ worker_connections 19900; }}\n\
         http {{\n  access_log off;\n  keepalive_requests 100000000;\n  keepalive_timeout 600s;\n\
         client_body_temp_path {folder}/body;\n  proxy_temp_path {folder}/proxy;\n  fastcgi_temp_path {folder}/fastcgi;\n\
         uwsgi_temp_path {folder}/uwsgi;\n  scgi_temp_path {folder}/scgi;\n  nchan_shared_memory_size 256M;\n\
         server {{\n    listen {address} backlog=4096;\n\
         location = /pub {{ nchan_publisher; nchan_channel_id $arg_id; nchan_message_buffer_length 1000; }}\n\
         location = /sub {{ nchan_subscriber; nchan_channel_id $arg_id; nchan_subscriber_first_message newest; }}\n\
         }}\n}}\n"
    )
}

fn node_command(package: &str, script: &str, address: &str) -> Outcome<(PathBuf, Vec<String>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
    let program = find_program("node").ok_or_else(|| Failure::new("not installed: Node 20 or later"))?;
    if !folder.join("node_modules").join(package).is_dir() {
        return Err(Failure::new(format!("not installed: npm ci --prefix {}", folder.display())));
    }
    let script = folder.join(script).display().to_string();
    let port = address.rsplit(':').next().unwrap_or_default();
    Ok((program, words(&[&script, port])))
}

fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}
