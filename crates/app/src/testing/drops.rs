//! A future that nobody waits for any more: it is polled so often, then dropped, as a connection that breaks
//! drops its request.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
};

/// Polls a future once.
pub async fn poll_once<F: Future>(future: &mut Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}

/// Polls a future so often, other tasks in between, and drops it. Its output if it was ready by then.
///
/// A test calls it for 0, 1, 2 … polls until it is ready: then it was dropped at every one of its awaits.
pub async fn dropped_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..polls {
        if let Poll::Ready(output) = poll_once(&mut future).await {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}
