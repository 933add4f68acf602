//! Tasks of connections, whose turns are measured.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use crate::{metrics::Metrics, turns::now_ms};

pin_project! {
    /// A task whose turns are measured.
    pub(crate) struct Timed<F> {
        #[pin]
        task: F,
        metrics: Arc<Metrics>,
    }
}

impl<F> Timed<F> {
    pub(crate) fn new(metrics: &Arc<Metrics>, task: F) -> Self {
        Self { task, metrics: Arc::clone(metrics) }
    }
}

impl<F: Future> Future for Timed<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let began_ms = now_ms();
        let polled = this.task.poll(context);
        this.metrics.longest_turn.record(began_ms, now_ms());
        polled
    }
}

/// Runs the tasks of the HTTP library's connections, one a stream of HTTP/2.
#[derive(Debug, Clone)]
pub(crate) struct TimedTasks(pub(crate) Arc<Metrics>);

impl<F> hyper::rt::Executor<F> for TimedTasks
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, task: F) {
        tokio::spawn(Timed::new(&self.0, task));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_is_measured_each_time_it_is_polled() {
        let metrics = Arc::<Metrics>::default();
        let mut turns = 0;
        let task = std::future::poll_fn(|context| {
            turns += 1;
            if turns == 2 {
                // A turn that takes as long as the clock needs to move on.
                let began_ms = now_ms();
                while now_ms() == began_ms {}
            }
            if turns < 3 {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(turns)
        });
        assert_eq!(Timed::new(&metrics, task).await, 3);
        assert!(metrics.longest_turn.seconds() > 0.0);
    }
}
