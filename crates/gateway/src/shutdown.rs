//! Stopping, and the lab's faults: what happens to those who are connected.

use std::{sync::Arc, time::Duration};

use anywire_protocol::engineio::CLOSE;

use crate::{Gateway, delivery::Reader, metrics::Transport};

/// How long a cut leaves to the answer of its own request.
const CUT_DELAY: Duration = Duration::from_millis(100);

impl Gateway {
    /// Stops: nobody is let in any more, everybody hears when to come back (spread over the restart window),
    /// and what is under way may end within `patience`.
    pub async fn shut_down(&self, patience: Duration) {
        self.admission.closing.cancel();
        self.readers.fanout.for_each_reader(|reader| self.dismiss(reader));
        self.end_sessions();
        self.tasks.close();
        if tokio::time::timeout(patience, self.tasks.wait()).await.is_err() {
            tracing::warn!(left = self.tasks.len(), "connections did not end in time");
        }
    }

    fn dismiss(&self, reader: &Arc<Reader>) {
        let retry_ms = self.admission.spread_ms();
        if reader.polls() {
            reader.end_polls(&self.delivery, CLOSE);
        } else if reader.transport().answers_requests() {
            reader.dismiss_poller(&self.delivery, &self.admission.shutting_down().into());
        } else {
            reader.say_goodbye(&self.delivery, reader.transport().goodbye(retry_ms));
        }
    }

    /// The lab: refuses WebSocket upgrades and ends those that are open, or lets them be again.
    pub fn lab_block_websocket(&self, on: bool) {
        self.lab.set_block_websocket(on);
        if self.lab.blocks_websocket() {
            self.abort_all(Transport::WebSocket);
            self.abort_all(Transport::SocketIo);
        }
    }

    /// The lab: holds SSE answers back, as a buffering proxy does. Those that are open end, as when the proxy
    /// changes.
    pub fn lab_buffer_sse(&self, on: bool) {
        let before = self.lab.buffers_sse();
        self.lab.set_buffer_sse(on);
        if before != self.lab.buffers_sse() {
            self.abort_all(Transport::Sse);
        }
    }

    /// The lab: accepts nobody for a time and ends every connection, [`CUT_DELAY`] from now, so that the
    /// answer to whoever asked for it can leave.
    pub fn lab_cut(self: &Arc<Self>, millis: u64) {
        let now_ms = u64::try_from(self.clock.now().as_millis()).unwrap_or_default();
        self.lab.cut_until(now_ms + millis);
        if self.lab.is_enabled() && millis > 0 {
            let gateway = Arc::clone(self);
            tokio::spawn(async move {
                tokio::time::sleep(CUT_DELAY).await;
                gateway.lab.cut_now();
            });
        }
    }

    fn abort_all(&self, transport: Transport) {
        self.readers.fanout.for_each_reader(|reader| {
            if reader.transport() == transport && !reader.polls() {
                reader.abort();
            }
        });
    }
}
